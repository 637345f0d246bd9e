// The worker of the tests: `device` adds as add_graph() asks and obeys planted faults, `hot` is one that throttles,
// `compiler` crashes or hangs where a source's entry says so, `garbage` answers with what no worker would send,
// `silent` never answers.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "isolation/worker.h"
#include "tests/isolation/drill_space.h"
#include "tests/tuner/adding_device.h"
#include "tests/tuner/fakes.h"
#include "tuner/fault_drill.h"

namespace duet {
namespace {

void hang() {
  for (volatile bool forever = true; forever;) ::usleep(1000);
}

class FaultyDevice : public AddingDevice {
 public:
  FaultyDevice() : AddingDevice(drill_space()) {
    mutable_info().can_measure = true;
    mutable_info().fingerprint.l2_bytes = 4 << 20;
    replay_us = [](const std::vector<Launch>& chain) { return 0.5 * static_cast<double>(chain.size()); };
  }
  LoadedKernel load(const PlanKernel& kernel) override {
    const PlantedFault fault = planted_fault(kernel.source);
    if (fault == PlantedFault::hang) define(kernel.entry, [](const Launch&) { hang(); });
    if (fault == PlantedFault::illegal_address) define(kernel.entry, [](const Launch&) { ::raise(SIGSEGV); });
    defect = fault == PlantedFault::wrong_result    ? Defect::wrong_element
             : fault == PlantedFault::out_of_bounds ? Defect::writes_past_end
                                                    : Defect::none;
    return AddingDevice::load(kernel);
  }
};

class HotDevice : public FaultyDevice {
 public:
  std::optional<DeviceState> state() const override {
    return DeviceState{.sm_clock_mhz = 612, .temperature_c = 91, .slowdown = "thermal slowdown"};
  }
  // 5 mJ more at each reading of a counter.
  std::unique_ptr<EnergyCounter> energy_counter() const override {
    class Counter : public EnergyCounter {
      double read_mj() override { return energy_mj_ += 5; }
      double energy_mj_ = 0;
    };
    return std::make_unique<Counter>();
  }
};

class FaultyCompiler : public FakeCompiler {
 public:
  CompileResult compile(const KernelSource& source, const std::string& arch) override {
    if (source.entry == "crash") ::raise(SIGSEGV);
    if (source.entry == "hang") hang();
    if (source.entry == "absent") fail(ErrorKind::missing, "no compiler");
    return FakeCompiler::compile(source, arch);
  }
};

void answer_with_garbage() {
  std::vector<std::byte> request;
  while (receive_message(kChildSocket, request) == ReceiveStatus::ok) {
    const std::vector<std::byte> garbage(request.size() + 3, std::byte{0x7f});
    send_message(kChildSocket, garbage);
  }
}

int run(const std::string& mode) {
  if (mode == "garbage") answer_with_garbage();
  if (mode == "silent") hang();
  WorkerTools tools;
  if (mode == "device") tools.open_device = [] { return std::make_unique<FaultyDevice>(); };
  if (mode == "hot") tools.open_device = [] { return std::make_unique<HotDevice>(); };
  if (mode == "compiler") tools.open_compiler = [] { return std::make_unique<FaultyCompiler>(); };
  tools.on_load = obey_planted_fault;
  serve_worker(tools);
  return 0;
}

}  // namespace
}  // namespace duet

int main(int argc, char** argv) { return argc == 2 ? duet::run(argv[1]) : 2; }
