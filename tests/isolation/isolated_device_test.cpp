#include "isolation/isolated_device.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <numeric>
#include <optional>

#include "tests/tuner/adding_device.h"
#include "tuner/fault_drill.h"
#include "tuner/verifier.h"

namespace duet {
namespace {

using std::chrono::milliseconds;

IsolationOptions worker(const char* mode) {
  return {.command = {DUET_TEST_WORKER, mode}, .timeout = milliseconds(300), .memory_limit_bytes = 256 << 20};
}

class Isolated : public testing::Test {
 protected:
  Isolated() : graph_(add_graph()), problem_(make_kernel_problem(graph_, lower_fused(graph_).groups.front())) {}

  Plan plan(PlantedFault fault) const {
    for (const KernelCandidate& candidate : enumerate_candidates(problem_.group().spec, small_space(), test_device()))
      if (candidate.infeasible.empty())
        return make_kernel_plan(problem_, test_device(),
                                {.tile = candidate.tile, .source = plant_fault(emit(candidate), fault), .images = {}});
    ADD_FAILURE() << "no candidate";
    return {};
  }
  Verification verify(PlantedFault fault) { return KernelVerifier(problem_, 1).verify(device_, plan(fault)); }
  // The fault is what it must be, and the next candidate finds a worker that works.
  void expect_lost_and_found(PlantedFault fault, VerificationStatus status, const std::string& cause) {
    const Verification faulty = verify(fault);
    EXPECT_EQ(faulty.status, status) << faulty.detail;
    EXPECT_NE(faulty.detail.find(cause), std::string::npos) << faulty.detail;
    const Verification sound = verify(PlantedFault::none);
    EXPECT_EQ(sound.status, VerificationStatus::ok) << sound.detail;
  }

  Graph graph_;
  KernelProblem problem_;
  IsolatedDevice device_{worker("device")};
};

TEST_F(Isolated, ASoundCandidateIsVerifiedAsInThisProcess) {
  AddingDevice here;
  const Verification expected = KernelVerifier(problem_, 1).verify(here, plan(PlantedFault::none));
  const Verification got = verify(PlantedFault::none);
  EXPECT_EQ(got.status, VerificationStatus::ok) << got.detail;
  EXPECT_EQ(got.element_error, expected.element_error);
  EXPECT_EQ(device_.info().fingerprint,
            here.info().fingerprint.l2_bytes == 0 ? device_.info().fingerprint : here.info().fingerprint);
  EXPECT_EQ(device_.workers_started(), 1);
}

TEST_F(Isolated, AHangIsATimeout) {
  expect_lost_and_found(PlantedFault::hang, VerificationStatus::timeout, "no result within 300 ms");
  EXPECT_EQ(device_.workers_started(), 2);
}

TEST_F(Isolated, ACrashNamesItsSignal) {
  expect_lost_and_found(PlantedFault::illegal_address, VerificationStatus::device_fault, "signal 11");
}

TEST_F(Isolated, AnAbortNamesItsSignal) {
  expect_lost_and_found(PlantedFault::abort, VerificationStatus::device_fault, "signal 6 (Aborted)");
}

TEST_F(Isolated, ALeakIsStopped) {
  expect_lost_and_found(PlantedFault::leak, VerificationStatus::device_fault, "out of memory");
}

TEST_F(Isolated, WrongNumbersAndGuardsNeedNoNewWorker) {
  expect_lost_and_found(PlantedFault::wrong_result, VerificationStatus::wrong_result, "expected");
  expect_lost_and_found(PlantedFault::out_of_bounds, VerificationStatus::guard_overwritten, "");
  EXPECT_EQ(device_.workers_started(), 1);
}

TEST_F(Isolated, AKilledWorkerCostsOneCandidate) {
  ASSERT_EQ(::kill(device_.worker_process(), SIGKILL), 0);
  EXPECT_EQ(verify(PlantedFault::none).status, VerificationStatus::device_fault);
  EXPECT_EQ(verify(PlantedFault::none).status, VerificationStatus::ok);
}

TEST_F(Isolated, AnErrorOfTheDeviceStartsAnother) {
  EXPECT_THROW(device_.allocate(std::size_t{2} << 30), Error) << "more than the fake device has";
  EXPECT_EQ(device_.worker_process(), -1);
  const DeviceBuffer buffer(device_, 256);
  EXPECT_GT(device_.worker_process(), 0);
}

TEST_F(Isolated, WhatAWorkerHeldIsLostWithIt) {
  const DeviceBuffer before(device_, 256);
  ASSERT_EQ(::kill(device_.worker_process(), SIGKILL), 0);
  EXPECT_THROW(DeviceBuffer(device_, 256), Error);
  const DeviceBuffer after(device_, 256);
  EXPECT_NE(after.address(), before.address()) << "else it would be given back twice";
  EXPECT_THROW(device_.fill(before.address(), std::byte{1}, 256), Error);
  EXPECT_NO_THROW(device_.fill(after.address(), std::byte{1}, 256));
}

TEST_F(Isolated, TransfersAreLargerThanTheStagingMemory) {
  std::vector<std::byte> sent(2 * kStagingBytes + 17);
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 31 >> 7);
  const DeviceBuffer buffer(device_, sent.size());
  device_.write(buffer.address(), sent);
  std::vector<std::byte> got(sent.size());
  device_.read(got, buffer.address());
  EXPECT_TRUE(got == sent);
}

TEST(IsolatedWorker, TheStateIsTheWorkersDevices) {
  IsolatedDevice device(worker("hot"));
  const std::optional<DeviceState> state = device.state();
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->slowdown, "thermal slowdown");
  EXPECT_EQ(state->sm_clock_mhz, 612);
  ASSERT_EQ(::kill(device.worker_process(), SIGKILL), 0);
  EXPECT_THROW(device.state(), Error) << "it died under the question";
  EXPECT_EQ(device.state(), std::nullopt) << "nobody is there to be asked";
}

TEST(IsolatedWorker, TheEnergyIsTheWorkersDevices) {
  IsolatedDevice device(worker("hot"));
  const std::unique_ptr<EnergyCounter> counter = device.energy_counter();
  ASSERT_NE(counter, nullptr);
  const double before_mj = counter->read_mj();
  EXPECT_EQ(counter->read_mj() - before_mj, 5);
  ASSERT_EQ(::kill(device.worker_process(), SIGKILL), 0);
  EXPECT_THROW(DeviceBuffer(device, 256), Error);
  const DeviceBuffer buffer(device, 256);  // of the next worker
  EXPECT_THROW(counter->read_mj(), Error) << "which counts from another moment on";
  EXPECT_EQ(IsolatedDevice(worker("device")).energy_counter(), nullptr);
}

TEST(IsolatedWorker, GarbageIsAnErrorAtOnce) { EXPECT_THROW(IsolatedDevice device(worker("garbage")), Error); }

TEST(IsolatedWorker, OneWithoutADeviceSaysSo) {
  try {
    IsolatedDevice device(worker("compiler"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no device"), std::string::npos) << error.what();
  }
}

TEST(IsolatedWorker, AProgramThatEndsIsNamedByItsStatus) {
  IsolationOptions options = worker("device");
  options.command = {"/bin/false"};
  try {
    IsolatedDevice device(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("exit status 1"), std::string::npos) << error.what();
  }
}

TEST(IsolatedWorker, NoneOutlivesItsParentsEnd) {
  std::optional<IsolatedDevice> device(worker("device"));
  const pid_t process = device->worker_process();
  ASSERT_EQ(::kill(process, 0), 0);
  device.reset();
  EXPECT_NE(::kill(process, 0), 0);
}

TEST(IsolatedWorker, ASilentOneIsKilledInTime) {
  ChildProcess child({.command = {DUET_TEST_WORKER, "silent"}, .files = {}});
  const std::byte request{1};
  const ChildProcess::Reply reply = child.call({&request, 1}, milliseconds(50));
  ASSERT_TRUE(reply.end);
  EXPECT_EQ(reply.end->cause, ChildEnd::Cause::timed_out);
  EXPECT_FALSE(child.alive());
}

}  // namespace
}  // namespace duet
