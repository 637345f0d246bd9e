// Every kernel that ships is compiled by NVRTC for every architecture Duet names. Needs NVRTC, but no GPU.
// Of the default space a random sample is compiled; all of it with DUET_FULL_MATRIX=1 (for the architectures listed in
// DUET_MATRIX_ARCHS, "sm_87,sm_110", else for all). DUET_FULL_MATRIX=quick compiles all of the quick space alone.
// DUET_SEED replays a sample.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/shipped_stubs.h"
#include "tuner/compile_cache.h"
#include "tuner/compile_pool.h"
#include "tuner/nvrtc_compiler.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

using testing::Stub;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kQuickSample = 48;
constexpr std::size_t kSamplePerArch = 24;
constexpr int kPlanCandidates = 2;

bool is_full(std::string_view space) {
  const char* value = std::getenv("DUET_FULL_MATRIX");
  return value != nullptr && (value == std::string_view("1") || value == space);
}

std::uint64_t seed() {
  const char* value = std::getenv("DUET_SEED");
  return value != nullptr ? std::strtoull(value, nullptr, 10) : 1;
}

std::vector<std::string> architectures() {
  const char* value = std::getenv("DUET_MATRIX_ARCHS");
  std::istringstream list(value != nullptr ? value : "sm_80,sm_87,sm_90,sm_110");
  std::vector<std::string> archs;
  for (std::string arch; std::getline(list, arch, ',');) archs.push_back(arch);
  return archs;
}

SearchSpace shipped_space(const std::string& name) {
  return load_search_space(testing::shipped("schedules") / (name + ".yaml"));
}

std::vector<Stub> all_stubs(const std::string& space, const std::vector<testing::ShippedGraph>& graphs) {
  std::vector<Stub> stubs;
  for (auto& [entry, stub] : testing::stubs_of(graphs, shipped_space(space))) stubs.push_back(std::move(stub));
  return stubs;
}

// Between them they have every family, operation and head size; all graphs would only take longer to enumerate.
std::vector<testing::ShippedGraph> sampled_graphs() {
  return {
      {.name = "clip-vit-b32"}, {.name = "siglip2-so400m14-384"}, {.name = "tiny-dual", .rules = FusionRules::none()}};
}

// Without those that ask for hardware the architecture does not have.
std::vector<Stub> fit_for(std::vector<Stub> stubs, const std::string& arch) {
  const auto leave_out = [&](std::string_view loader) {
    std::erase_if(stubs, [&](const Stub& stub) { return stub.source.entry.find(loader) != std::string::npos; });
  };
  if (std::stoi(arch.substr(3)) < 90) leave_out("_tma");
  if (arch != "sm_90") leave_out("_wgmma");
  return stubs;
}

std::vector<Stub> sample(std::vector<Stub> stubs, std::size_t count, std::uint64_t sample_seed) {
  std::mt19937_64 engine(sample_seed);
  for (std::size_t i = 0; i + 1 < stubs.size() && i < count; ++i)
    std::swap(stubs[i], stubs[i + engine() % (stubs.size() - i)]);
  stubs.resize(std::min(count, stubs.size()));
  return stubs;
}

class ShippedCandidates : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      compiler_.version();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::missing) throw;
      GTEST_SKIP() << error.what();
    }
  }

  // Compiles them all and reports; every failure is a failure of the test.
  void compile(const std::string& what, const std::vector<Stub>& stubs, const std::string& arch) {
    const auto start = Clock::now();
    std::vector<KernelSource> sources;
    for (const Stub& stub : stubs) sources.push_back(stub.source);
    const std::vector<CompileResult> results = compile_all(compiler_, sources, arch, 0);
    int spilling = 0;
    std::string spills;
    for (std::size_t i = 0; i < results.size(); ++i) {
      EXPECT_TRUE(results[i].ok) << arch << ", " << sources[i].entry << ":\n" << results[i].log;
      // ptxas (C7510 to C7519) where it makes warpgroup products wait for each other.
      EXPECT_EQ(results[i].log.find("serialized"), std::string::npos) << sources[i].entry << ":\n" << results[i].log;
      if (results[i].image.spill_bytes == 0) continue;
      ++spilling;
      spills += fmt::format("  {} bytes: {}\n", results[i].image.spill_bytes, sources[i].entry);
    }
    const double elapsed_s = std::chrono::duration<double>(Clock::now() - start).count();
    fmt::print("{} on {}: {} stubs, {} spill, {:.1f} s\n{}", what, arch, results.size(), spilling, elapsed_s, spills);
  }

  NvrtcCompiler compiler_;
};

// That what compile() looks for is what ptxas says.
TEST_F(ShippedCandidates, WarpgroupProductsThatWaitForEachOtherAreTold) {
  const KernelSource source{.entry = "waits",
                            .text = R"(
#include "templates/device/wgmma.cuh"
using namespace duet;
extern "C" __global__ void waits(float* out) {
  float c[4][4] = {};
  for (int i = 0; i < 4; ++i) {
    wgmma_fence();
    Wgmma<Dtype::f16, 32>::add(c, wgmma_operand(64 * i), wgmma_operand(64 * i + 512));
    wgmma_commit();
    c[0][0] += out[i];
  }
  wgmma_wait<0>();
  for (int j = 0; j < 16; ++j) out[threadIdx.x * 16 + j] = c[j / 4][j % 4];
}
)",
                            .hash = {}};
  const CompileResult result = compiler_.compile(source, "sm_90");
  ASSERT_TRUE(result.ok) << result.log;
  EXPECT_NE(result.log.find("serialized"), std::string::npos) << result.log;
}

// All of them for Orin; for the others, whose code differs little, a sample.
TEST_F(ShippedCandidates, TheQuickSpaceCompiles) {
  const std::vector<Stub> stubs = all_stubs("quick", testing::shipped_graphs());
  for (const std::string& arch : architectures()) {
    const bool all = is_full("quick") || arch == "sm_87";
    compile("quick", all ? stubs : sample(stubs, kQuickSample, seed()), arch);
  }
}

TEST_F(ShippedCandidates, TheDefaultSpaceCompiles) {
  const std::vector<Stub> stubs =
      all_stubs("default", is_full("default") ? testing::shipped_graphs() : sampled_graphs());
  std::uint64_t sample_seed = seed();
  for (const std::string& arch : architectures()) {
    const std::vector<Stub> fit = fit_for(stubs, arch);
    const std::vector<Stub> chosen = is_full("default") ? fit : sample(fit, kSamplePerArch, sample_seed);
    compile(is_full("default") ? "default" : fmt::format("default, sample {}", sample_seed), chosen, arch);
    ++sample_seed;  // another sample for each
  }
}

// No space holds them: one configuration for each pass and element type.
TEST_F(ShippedCandidates, ImagePreprocessingCompiles) {
  for (const std::string& arch : architectures()) {
    for (const ImagePass pass : {ImagePass::rows, ImagePass::columns}) {
      for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
        const CompileResult result = compiler_.compile(emit(ImageConfig{.op = {pass, dtype}, .tile = {}}), arch);
        EXPECT_TRUE(result.ok) << arch << ": " << result.log;
        EXPECT_EQ(result.image.spill_bytes, 0) << arch << ": " << result.log;
      }
    }
  }
}

// What a user gets without a device at hand: the plan that the model chooses, from code that does not spill.
TEST_F(ShippedCandidates, PredictedPlansDoNotSpill) {
  TempDir folder;
  CachedCompiler compiler(compiler_, folder / "cubins");  // the Orins share their architecture
  for (const char* name :
       {"jetson-orin-nano-8gb", "jetson-orin-nx-16gb", "jetson-agx-orin-64gb", "jetson-thor-t5000"}) {
    SCOPED_TRACE(name);
    PlanStore store = PlanStore::open(folder / (std::string(name) + ".db"), PlanStore::Mode::tune);
    TuneRequest request;
    request.graph = load_graph(testing::shipped("graphs") / "clip-vit-b32.yaml", {.batch = 1});
    request.target = name;
    request.device = load_device(testing::shipped("devices"), name);
    request.space = shipped_space("default");
    request.max_candidates_per_kernel = kPlanCandidates;
    const TuneReport report = TuningSession(nullptr, &compiler, store).tune(request);
    EXPECT_EQ(report.plan.provenance, Provenance::predicted);
    EXPECT_EQ(report.failed, 0);
    for (const PlanKernel& kernel : report.plan.kernels) {
      ASSERT_EQ(kernel.images.size(), 1u) << kernel.entry;
      EXPECT_EQ(kernel.images[0].arch, request.device.arch) << kernel.entry;
      EXPECT_EQ(kernel.images[0].spill_bytes, 0) << kernel.entry;
      EXPECT_GT(kernel.images[0].registers, 0) << kernel.entry;
    }
    fmt::print("clip-vit-b32 on {}: {} kernels, {} steps, {} candidates compiled, {} from the cache, {:.1f} s\n", name,
               report.plan.kernels.size(), report.plan.steps.size(), report.compiled, report.cached, report.elapsed_s);
  }
}

// What a tuning run of the flagship model may have to compile.
TEST(ShippedSpaces, TheDefaultSpaceStaysSmall) {
  int gemms = 0;
  for (const auto& [entry, stub] : testing::stubs_of({{.name = "clip-vit-b32"}}, shipped_space("default")))
    gemms += stub.family == "gemm" ? 1 : 0;
  fmt::print("clip-vit-b32 in the default space: {} distinct gemm stubs over all devices\n", gemms);
  EXPECT_LE(gemms, 9500);  // with four loaders; 8000 with three, 7000 with two, 4500 with one
  EXPECT_GE(gemms, 500);
}

// Whatever the limits of the space leave out, every size of tile, depth and split stays for a problem that can use it.
TEST(ShippedSpaces, TheDefaultSpaceKeepsEveryValue) {
  const SearchSpace space = shipped_space("default");
  std::map<std::string, std::set<int>> used, listed;
  for (const char* model : {"clip-vit-b32", "clip-vit-l14"}) {
    for (const auto& [text, spec] : testing::problems_of({.name = model})) {
      if (family_name(spec) != "gemm") continue;
      for (const DeviceSpec& device : testing::distinct_devices())
        for (const KernelCandidate& candidate : enumerate_candidates(spec, space, device))
          if (candidate.infeasible.empty())
            for (const auto& [name, value] : tile_parameters(candidate.tile)) used[name].insert(value);
    }
  }
  for (const auto& [section, ranges] : space.ranges)
    if (section.starts_with("gemm"))
      for (const auto& [name, values] : ranges) listed[name].insert(values.begin(), values.end());
  EXPECT_EQ(used, listed);
}

}  // namespace
}  // namespace duet
