// Kernels compiled from source text and run in a worker process: the compiler, the faults only a sanitised process can
// find, its death and restart, and the Device interface.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "emulator/emulator_device.h"
#include "emulator/worker_process.h"
#include "tests/emulator/tile_gemm.h"

namespace duet {
namespace {

using emulator::FaultKind;
using emulator::LaunchOutcome;

// One thread does one thing; `address` points into or beyond a buffer.
constexpr const char* kAccessStub = R"(
#include "templates/device/intrinsics.cuh"
struct AccessParams { unsigned char* address; int what; };
DUET_KERNEL(access_kernel, AccessParams, 32, 1) {
  using namespace duet;
  if (thread_index() != 0) return;
  if (params.what == 0) st_global_u32(params.address, 7);
  if (params.what == 1) st_global_u32(params.address, ld_global_u32(params.address) + 1);
  if (params.what == 2) *reinterpret_cast<int*>(params.address) = 1;
  if (params.what == 3) cp_async<16>(smem_base(), params.address, true);
  while (params.what == 4) static_cast<void>(*static_cast<volatile unsigned char*>(params.address));
}
)";

struct AccessParams {
  DeviceAddress address;
  int what;
};

std::filesystem::path test_cache_dir() {
  static const std::filesystem::path folder = [] {
    const auto path = std::filesystem::temp_directory_path() / ("duet-emulator-test-" + std::to_string(getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  return folder;
}

class RemoveCache : public testing::Environment {
  void TearDown() override { std::filesystem::remove_all(test_cache_dir()); }
};
const auto* const kRemoveCache = testing::AddGlobalTestEnvironment(new RemoveCache);

std::unique_ptr<EmulatorDevice> open_device(bool sanitize = true,
                                            std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
  EmulatorOptions options;
  options.sanitize = sanitize;
  options.launch_timeout = timeout;
  options.include_dir = DUET_SOURCE_DIR;
  options.cache_dir = test_cache_dir();
  return EmulatorDevice::open(options);
}

PlanKernel plan_kernel(const std::string& entry, const std::string& source) {
  PlanKernel kernel;
  kernel.entry = entry;
  kernel.source = source;
  return kernel;
}

template <typename Params>
Launch make_launch(LoadedKernel kernel, const std::string& name, const Params& params, int threads,
                   int smem_bytes = 0) {
  const auto bytes = std::as_bytes(std::span(&params, 1));
  return {.kernel = kernel,
          .name = name,
          .grid = {},
          .threads = threads,
          .smem_bytes = smem_bytes,
          .params = {bytes.begin(), bytes.end()},
          .stream = 0,
          .waits = {}};
}

LaunchOutcome access_memory(EmulatorDevice& device, DeviceAddress address, int what) {
  const LoadedKernel kernel = device.load(plan_kernel("access_kernel", kAccessStub));
  return device.try_launch(make_launch(kernel, "access", AccessParams{address, what}, 32, 64));
}

std::uint32_t word_at(EmulatorDevice& device, DeviceAddress address) {
  std::uint32_t word = 0;
  device.read(std::as_writable_bytes(std::span(&word, 1)), address);
  return word;
}

void fill_words(EmulatorDevice& device, DeviceBuffer& buffer) {
  device.fill(buffer.address(), std::byte{1}, buffer.bytes());
}

TEST(EmulatorDevice, MovesBytes) {
  const auto device = open_device();
  DeviceBuffer buffer(*device, 1000);
  EXPECT_EQ(buffer.address() % 256, 0u);
  EXPECT_EQ(word_at(*device, buffer.address()), 0xffffffffu) << "new memory holds the poison";
  fill_words(*device, buffer);
  EXPECT_EQ(word_at(*device, buffer.address() + 996), 0x01010101u);
  const std::uint32_t word = 42;
  device->write(buffer.address() + 4, std::as_bytes(std::span(&word, 1)));
  EXPECT_EQ(word_at(*device, buffer.address() + 4), 42u);
  EXPECT_THROW(word_at(*device, buffer.address() + 998), Error);
  EXPECT_THROW(word_at(*device, 16), Error);
}

TEST(EmulatorDevice, RunsAKernel) {
  for (const bool sanitize : {true, false}) {
    const auto device = open_device(sanitize);
    DeviceBuffer buffer(*device, 64);
    const LaunchOutcome outcome = access_memory(*device, buffer.address(), 0);
    ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault);
    EXPECT_EQ(word_at(*device, buffer.address()), 7u);
  }
}

TEST(EmulatorDevice, NamesAGlobalAccessOutOfBounds) {
  const auto device = open_device();
  DeviceBuffer buffer(*device, 100);
  for (const int what : {0, 1, 2}) {
    DeviceBuffer fresh(*device, 100);
    const LaunchOutcome outcome = access_memory(*device, fresh.address() + 100, what);
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.fault->kind, FaultKind::sanitizer);
    EXPECT_NE(outcome.fault->detail.find("heap-buffer-overflow"), std::string::npos) << outcome.fault->detail;
  }
}

TEST(EmulatorDevice, NamesACopySourceOutOfBounds) {
  const auto device = open_device();
  DeviceBuffer buffer(*device, 96 + 8);
  ASSERT_TRUE(access_memory(*device, buffer.address() + 80, 3).ok());
  const LaunchOutcome outcome = access_memory(*device, buffer.address() + 96, 3);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.fault->kind, FaultKind::sanitizer) << to_string(*outcome.fault);
}

TEST(EmulatorDevice, NamesAMisalignedGlobalAccess) {
  const auto device = open_device();
  DeviceBuffer buffer(*device, 64);
  const LaunchOutcome intrinsic = access_memory(*device, buffer.address() + 2, 0);
  ASSERT_FALSE(intrinsic.ok());
  EXPECT_EQ(intrinsic.fault->kind, FaultKind::misaligned_global);
  EXPECT_EQ(intrinsic.fault->address, buffer.address() + 2);
  const LaunchOutcome plain = access_memory(*device, buffer.address() + 2, 2);
  ASSERT_FALSE(plain.ok());
  EXPECT_EQ(plain.fault->kind, FaultKind::sanitizer);
  EXPECT_NE(plain.fault->detail.find("misaligned"), std::string::npos) << plain.fault->detail;
}

TEST(EmulatorDevice, SurvivesACrashAndStartsAgain) {
  for (const bool sanitize : {true, false}) {
    const auto device = open_device(sanitize);
    DeviceBuffer lost(*device, 64);
    const LaunchOutcome outcome = access_memory(*device, 0, 2);
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.fault->kind, FaultKind::crash) << to_string(*outcome.fault);
    EXPECT_THROW(word_at(*device, lost.address()), Error);
    DeviceBuffer buffer(*device, 64);
    EXPECT_THROW(word_at(*device, lost.address()), Error) << "a new worker does not bring buffers back";
    EXPECT_TRUE(access_memory(*device, buffer.address(), 0).ok());
    EXPECT_EQ(word_at(*device, buffer.address()), 7u);
  }
}

TEST(EmulatorDevice, NamesAnOverflowOfAThreadsStack) {
  const std::string stub = R"(#include "templates/device/intrinsics.cuh"
struct Params { int index; };
DUET_KERNEL(deep_stack, Params, 32, 1) {
  volatile unsigned char large[200 * 1024];
  large[params.index] = 1;
  duet::sync_warp();
}
)";
  for (const bool sanitize : {true, false}) {
    const auto device = open_device(sanitize);
    const LoadedKernel kernel = device->load(plan_kernel("deep_stack", stub));
    const LaunchOutcome outcome = device->try_launch(make_launch(kernel, "deep", 5, 32));
    ASSERT_FALSE(outcome.ok());
    EXPECT_TRUE(outcome.fault->kind == FaultKind::sanitizer || outcome.fault->kind == FaultKind::crash);
  }
}

TEST(EmulatorDevice, KillsAKernelThatHangs) {
  const auto device = open_device(true, std::chrono::milliseconds(300));
  DeviceBuffer lost(*device, 64);
  const LaunchOutcome outcome = access_memory(*device, lost.address(), 4);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.fault->kind, FaultKind::hang);
  DeviceBuffer buffer(*device, 64);
  EXPECT_TRUE(access_memory(*device, buffer.address(), 0).ok());
}

TEST(EmulatorDevice, RefusesALaunchThatDoesNotFitItsKernel) {
  const auto device = open_device();
  const LoadedKernel kernel = device->load(plan_kernel("access_kernel", kAccessStub));
  for (const Launch& launch : {make_launch(kernel, "threads", AccessParams{}, 64), make_launch(kernel, "params", 1, 32),
                               make_launch(kernel, "smem", AccessParams{}, 32, 1 << 20)}) {
    const LaunchOutcome outcome = device->try_launch(launch);
    ASSERT_FALSE(outcome.ok()) << launch.name;
    EXPECT_EQ(outcome.fault->kind, FaultKind::bad_launch) << launch.name;
  }
}

TEST(EmulatorDevice, CaptureReportsAStubThatDoesNotCompile) {
  const auto device = open_device();
  const LoadedKernel kernel =
      device->load(plan_kernel("broken", "#include \"templates/device/intrinsics.cuh\"\nint x = ;\n"));
  const Launch launch = make_launch(kernel, "broken", 0, 32);
  try {
    device->capture(std::span(&launch, 1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("does not compile"), std::string::npos) << error.what();
  }
  EXPECT_THROW(device->load(plan_kernel("none", "")), Error);
}

TEST(EmulatorDevice, ExecutableThrowsTheFaultWithTheLaunchName) {
  const auto device = open_device();
  DeviceBuffer buffer(*device, 64);
  const LoadedKernel kernel = device->load(plan_kernel("access_kernel", kAccessStub));
  const Launch launches[] = {make_launch(kernel, "fine", AccessParams{buffer.address(), 0}, 32),
                             make_launch(kernel, "odd", AccessParams{buffer.address() + 1, 0}, 32)};
  EXPECT_NO_THROW(device->capture(std::span(launches, 1))->run());
  const auto executable = device->capture(launches);
  EXPECT_TRUE(executable->time_us(3, CacheState::warm).empty());
  try {
    executable->run();
    FAIL();
  } catch (const EmulatorError& error) {
    EXPECT_EQ(error.fault().kind, FaultKind::misaligned_global);
    EXPECT_NE(std::string(error.what()).find("'odd'"), std::string::npos) << error.what();
  }
}

TEST(EmulatorDevice, RunsTheTileGemmInEveryVariant) {
  const std::string stub = R"(#include "tests/emulator/test_kernels.cuh"
using Gemm = duet::TileGemm<duet::Dtype::f16, 3, duet::Defect::none>;
DUET_KERNEL(gemm_kernel, duet::TileGemmParams, Gemm::kThreads, 1) { Gemm::run(params); }
)";
  using Gemm = TileGemm<Dtype::f16, 3, Defect::none>;
  const auto device = open_device();
  GemmProblem problem(77, 72, 136, Dtype::f16);
  DeviceBuffer a(*device, problem.a.size() * 2), b(*device, problem.b.size() * 2), c(*device, problem.c.size() * 4);
  device->write(a.address(), std::as_bytes(std::span(problem.a)));
  device->write(b.address(), std::as_bytes(std::span(problem.b)));
  TileGemmParams params = problem.params();
  params.a = reinterpret_cast<const u16*>(a.address());
  params.b = reinterpret_cast<const u16*>(b.address());
  params.c = reinterpret_cast<float*>(c.address());
  Launch launch =
      make_launch(device->load(plan_kernel("gemm_kernel", stub)), "gemm", params, Gemm::kThreads, Gemm::kSmemBytes);
  launch.grid = {ceil_div(problem.n, Gemm::kBlockN), ceil_div(problem.m, Gemm::kBlockM), 1};
  const auto executable = device->capture(std::span(&launch, 1));
  for (const emulator::RunVariant& variant : emulator::standard_variants()) {
    device->set_variant(variant);
    device->fill(c.address(), poison_byte(variant.poison), c.bytes());
    executable->run();
    device->read(std::as_writable_bytes(std::span(problem.c)), c.address());
    EXPECT_LT(problem.worst_error(), 1e-3) << to_string(variant);
  }
}

TEST(HostCompiler, CompilesManyStubsTogetherAndKeepsThem) {
  const auto folder = test_cache_dir() / "batch";
  emulator::HostCompiler compiler({.include_dir = DUET_SOURCE_DIR, .cache_dir = folder, .sanitize = false});
  std::vector<std::string> stubs;
  for (int i = 0; i < 3; ++i) {
    stubs.push_back("#include \"templates/device/intrinsics.cuh\"\nstruct Config { static constexpr int value = " +
                    std::to_string(i) + "; };\nstruct Params { int* out; };\nDUET_KERNEL(kernel_" + std::to_string(i) +
                    ", Params, 32, 1) { *params.out = Config::value; }\n");
  }
  const auto results = compiler.compile(stubs);
  for (const auto& result : results) EXPECT_TRUE(result.ok) << result.log;
  EXPECT_TRUE(std::filesystem::equivalent(results[0].shared_object, results[2].shared_object));
  EXPECT_TRUE(compiler.compile(stubs[1]).cached);
  stubs.push_back("int broken = ;\n");
  stubs.push_back(stubs[0] + "// another\n");
  stubs.back().replace(stubs.back().find("kernel_0"), 8, "kernel_9");
  const auto mixed = compiler.compile(stubs);
  EXPECT_FALSE(mixed[3].ok);
  EXPECT_NE(mixed[3].error.find("does not compile"), std::string::npos) << mixed[3].error;
  EXPECT_TRUE(mixed[4].ok) << mixed[4].log;
}

TEST(HostCompiler, WorksFromTheEmbeddedHeaders) {
  emulator::HostCompiler compiler({.include_dir = {}, .cache_dir = test_cache_dir() / "embedded", .sanitize = true});
  const auto result = compiler.compile(std::string(kAccessStub));
  EXPECT_TRUE(result.ok) << result.error;
}

TEST(HostCompiler, AMissingCompilerIsOneSentence) {
  ASSERT_EQ(setenv("CXX", "/nonexistent/c++", 1), 0);
  emulator::HostCompiler compiler({.include_dir = DUET_SOURCE_DIR, .cache_dir = test_cache_dir() / "none"});
  unsetenv("CXX");
  const auto result = compiler.compile(std::string(kAccessStub));
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.error.find("does not run; set CXX"), std::string::npos) << result.error;
}

Launch on_stream(int stream, std::vector<int> waits) {
  Launch launch;
  launch.stream = stream;
  launch.waits = std::move(waits);
  return launch;
}

TEST(ExecutionOrder, KeepsStreamsAndWaits) {
  const std::vector<Launch> launches{on_stream(0, {}), on_stream(1, {}), on_stream(1, {}), on_stream(0, {2})};
  using Order = std::vector<std::size_t>;
  emulator::RunVariant variant;
  EXPECT_EQ(execution_order(launches, variant), (Order{0, 1, 2, 3}));
  variant.blocks = emulator::BlockOrder::reverse;
  EXPECT_EQ(execution_order(launches, variant), (Order{1, 2, 0, 3}));
  variant.blocks = emulator::BlockOrder::random;
  for (variant.seed = 0; variant.seed < 20; ++variant.seed) {
    const Order order = execution_order(launches, variant);
    const auto place = [&](std::size_t i) { return std::find(order.begin(), order.end(), i) - order.begin(); };
    EXPECT_LT(place(1), place(2));
    EXPECT_LT(place(2), place(3));
    EXPECT_LT(place(0), place(3));
  }
  const std::vector<Launch> impossible{on_stream(0, {1}), on_stream(1, {})};
  EXPECT_THROW(execution_order(impossible, variant), Error);
}

}  // namespace
}  // namespace duet
