#include "codegen/candidate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "base/file.h"
#include "codegen/emit.h"
#include "codegen/graph_yaml.h"
#include "codegen/lower.h"
#include "templates/embedded.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

const std::filesystem::path kSource = DUET_SOURCE_DIR;

DeviceSpec orin() { return load_device(kSource / "devices", "jetson-orin-nx-16gb"); }
SearchSpace space(const std::string& name) { return load_search_space(kSource / "schedules" / (name + ".yaml")); }

// Every distinct kernel of a model.
std::map<std::string, KernelSpec> problems(const std::string& model, const FusionRules& rules, Dtype precision) {
  const Graph graph = load_graph(kSource / "graphs" / (model + ".yaml"), {.batch = 1, .precision = precision});
  std::map<std::string, KernelSpec> found;
  for (const LoweredGroup& group : lower(graph, fuse(graph, rules)).groups)
    found.emplace(problem_text(group.spec), group.spec);
  return found;
}
std::map<std::string, KernelSpec> problems_of_both(const std::string& model) {
  std::map<std::string, KernelSpec> all = problems(model, {}, Dtype::f16);
  all.merge(problems(model, FusionRules::none(), Dtype::f16));
  return all;
}

int feasible_count(const std::vector<KernelCandidate>& candidates) {
  return static_cast<int>(
      std::count_if(candidates.begin(), candidates.end(), [](const auto& c) { return c.infeasible.empty(); }));
}

GemmSpec clip_fc1() {
  GemmSpec spec;
  spec.op.layer_norm = spec.op.bias = true;
  spec.op.activation = Activation::quick_gelu;
  spec.params.m = 50;
  spec.params.n = 3072;
  spec.params.k = 768;
  spec.params.batch = spec.params.batch_inner = 1;
  return spec;
}

TEST(Candidate, EveryKernelOfEveryModelHasSomeInBothSpaces) {
  for (const std::string schedule : {"default", "quick"}) {
    const SearchSpace searched = space(schedule);
    for (const std::string model : {"tiny-dual", "clip-vit-b32", "siglip2-b16-224"}) {
      for (const auto& [problem, spec] : problems_of_both(model)) {
        const std::vector<KernelCandidate> all = enumerate_candidates(spec, searched, orin());
        EXPECT_GE(feasible_count(all), 1) << schedule << ": " << problem;
        EXPECT_LE(all.size(), 25000u) << schedule << ": " << problem;
      }
    }
  }
}

TEST(Candidate, TheQuickSpaceIsSmall) {
  const SearchSpace quick = space("quick");
  for (const auto& [problem, spec] : problems("clip-vit-b32", {}, Dtype::f16)) {
    const int count = feasible_count(enumerate_candidates(spec, quick, orin()));
    EXPECT_LE(count, std::holds_alternative<GemmSpec>(spec) ? 20 : 6) << problem;
  }
}

TEST(Candidate, ComesInAFixedOrderWithItsParameters) {
  SearchSpace small{.name = "small", .ranges = {{"gemm", {{"block_n", {32, 64}}, {"stages", {2, 3}}}}}};
  const std::vector<KernelCandidate> all = enumerate_candidates(clip_fc1(), small, orin());
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(config_text(all[0].tile),
            "block_m=64 block_n=32 block_k=32 warps_m=2 warps_n=2 warps_k=1 stages=2 split_k=1 loader=1");
  EXPECT_EQ(config_text(all[1].tile),
            "block_m=64 block_n=32 block_k=32 warps_m=2 warps_n=2 warps_k=1 stages=3 split_k=1 loader=1");
  EXPECT_EQ(config_text(all[3].tile),
            "block_m=64 block_n=64 block_k=32 warps_m=2 warps_n=2 warps_k=1 stages=3 split_k=1 loader=1");
  EXPECT_EQ(tile_parameters(all[3].tile)[1], (std::pair<std::string, int>{"block_n", 64}));
  EXPECT_EQ(all[3].grid.x, 1);
  EXPECT_EQ(all[3].grid.y, 48);
  EXPECT_EQ(all[3].threads, 128);
}

TEST(Candidate, SaysWhyItCannotRun) {
  const auto reason = [](GemmTile tile, DeviceSpec device) {
    return make_candidate(clip_fc1(), tile, device).infeasible;
  };
  GemmTile tile;
  tile.block_m = 48;
  tile.warps_m = 2;
  EXPECT_EQ(reason(tile, orin()), "block_m must be a multiple of 16 * warps_m");
  tile = {};
  tile.split_k = 13;
  tile.block_k = 64;
  EXPECT_EQ(reason(tile, orin()), "split_k is more than the tiles along k");
  tile.split_k = 14;
  EXPECT_EQ(reason(tile, orin()), "with split_k, the stages must hold the partial sums of a group of every thread");
  tile = {};
  tile.block_m = 128;
  GemmSpec few_rows = clip_fc1();
  few_rows.params.m = 20;
  EXPECT_EQ(make_candidate(few_rows, tile, orin()).infeasible, "block_m is more than twice m");
  DeviceSpec tiny = orin();
  tiny.smem_bytes_per_block = 1024;
  EXPECT_NE(reason({}, tiny).find("more shared memory than the 1024 bytes a block that jetson-orin-nx-16gb allows"),
            std::string::npos);
  EXPECT_EQ(reason({}, orin()), "");
}

TEST(Candidate, TheTensorMemoryAcceleratorNeedsADeviceThatHasIt) {
  GemmTile tile;
  tile.loader = kLoaderTma;
  tile.block_k = 64;
  DeviceSpec hopper = orin();
  hopper.arch = "sm_90";
  EXPECT_EQ(make_candidate(clip_fc1(), tile, orin()).infeasible, "sm_87 has no tensor memory accelerator");
  const KernelCandidate candidate = make_candidate(clip_fc1(), tile, hopper);
  EXPECT_EQ(candidate.infeasible, "");
  EXPECT_EQ(candidate.threads, 4 * 32 + 32);  // one more warp asks for tiles
  EXPECT_EQ(emit(candidate).entry, "gemm_f16_ln_bias_quick_gelu_64x64x64_w2x2x1_s3_k1_tma");
  tile.block_k = 32;
  EXPECT_NE(make_candidate(clip_fc1(), tile, hopper).infeasible.find("block_k must be 64"), std::string::npos);
  tile.block_k = 64;
  GemmSpec several = clip_fc1();
  several.params.batch = 2;
  EXPECT_NE(make_candidate(several, tile, hopper).infeasible.find("single products"), std::string::npos);
}

TEST(Candidate, WarpgroupProductsAreForOneArchitecture) {
  GemmTile tile;
  tile.loader = kLoaderWgmma;
  tile.block_k = 64;
  tile.block_n = 96;
  tile.warps_m = 4;
  tile.warps_n = 1;
  DeviceSpec hopper = orin(), thor = orin();
  hopper.arch = "sm_90";
  thor.arch = "sm_110";
  EXPECT_EQ(make_candidate(clip_fc1(), tile, orin()).infeasible, "sm_87 has no tensor memory accelerator");
  EXPECT_EQ(make_candidate(clip_fc1(), tile, thor).infeasible, "sm_110 has no warpgroup products");
  const KernelCandidate candidate = make_candidate(clip_fc1(), tile, hopper);
  EXPECT_EQ(candidate.infeasible, "");
  EXPECT_EQ(candidate.threads, 4 * 32 + 32);
  EXPECT_EQ(emit(candidate).entry, "gemm_f16_ln_bias_quick_gelu_64x96x64_w4x1x1_s3_k1_wgmma");
  tile.block_m = 128;
  EXPECT_NE(make_candidate(clip_fc1(), tile, hopper).infeasible.find("take 16 rows a warp"), std::string::npos);
  tile.block_m = 64;
  tile.block_n = 40;
  EXPECT_NE(make_candidate(clip_fc1(), tile, hopper).infeasible.find("a multiple of 16 columns"), std::string::npos);
}

TEST(Candidate, TransposedWarpgroupProductsTakeRowsBySixteen) {
  GemmTile tile;
  tile.loader = kLoaderWgmmaTransposed;
  tile.block_m = 80;
  tile.block_k = 64;
  tile.warps_m = 1;
  tile.warps_n = 4;
  DeviceSpec hopper = orin();
  hopper.arch = "sm_90";
  GemmSpec spec = clip_fc1();
  EXPECT_EQ(make_candidate(spec, tile, hopper).infeasible, "transposed warpgroup products do not add up rows");
  spec.op.reads_row_sums = true;
  const KernelCandidate candidate = make_candidate(spec, tile, hopper);
  EXPECT_EQ(candidate.infeasible, "");
  EXPECT_EQ(candidate.threads, 4 * 32 + 32);
  EXPECT_EQ(emit(candidate).entry, "gemm_f16_ln_reads_row_sums_bias_quick_gelu_80x64x64_w1x4x1_s3_k1_wgmma_transposed");
  EXPECT_EQ(make_candidate(spec, tile, orin()).infeasible, "sm_87 has no tensor memory accelerator");
  tile.warps_n = 2;
  EXPECT_NE(make_candidate(spec, tile, hopper).infeasible.find("16 columns a warp"), std::string::npos);
}

TEST(Candidate, LargeTilesDoWithoutALoadingWarp) {
  GemmConfig config;
  config.op.residual = true;
  config.tile = {.block_m = 64, .block_n = 128, .block_k = 64, .warps_m = 1, .warps_n = 8};
  config.tile.loader = kLoaderWgmmaTransposed;
  EXPECT_TRUE(config.loading_warp());
  EXPECT_EQ(config.threads(), 8 * 32 + 32);
  config.tile.block_m = 208;  // 104 accumulators a thread
  config.tile.block_n = 192;
  config.tile.warps_n = 12;
  config.tile.stages = 2;
  EXPECT_FALSE(config.loading_warp()) << "a thirteenth warp would leave 128 registers a thread";
  EXPECT_EQ(config.threads(), 12 * 32);
  EXPECT_EQ(gemm_infeasible(config), nullptr);
  config.tile.loader = kLoaderTma;
  EXPECT_TRUE(config.loading_warp());
}

TEST(Candidate, SplitKNeedsWorkspaceAndCounters) {
  GemmTile tile;
  EXPECT_EQ(make_candidate(clip_fc1(), tile, orin()).workspace_bytes, 0);
  tile.split_k = 4;
  const KernelCandidate split = make_candidate(clip_fc1(), tile, orin());
  EXPECT_EQ(split.grid.z, 4);
  EXPECT_EQ(split.counter_count, 48);
  EXPECT_GT(split.workspace_bytes, 48 * 3 * 64 * 64 * 4);
}

TEST(Candidate, EqualLaunchesHaveEqualParameterBytes) {
  for (const auto& [problem, spec] : problems_of_both("tiny-dual")) {
    const std::vector<KernelCandidate> all = enumerate_candidates(spec, {}, orin());
    ASSERT_EQ(all.size(), 1u);
    // The same fields in an object whose alignment gaps hold something else.
    KernelCandidate dirty = all[0];
    std::visit(
        [](auto& family) {
          const auto params = family.params;
          std::memset(static_cast<void*>(&family.params), 0x5a, sizeof(params));
          family.params = params;
        },
        dirty.spec);
    EXPECT_EQ(param_block(all[0]), param_block(dirty)) << problem;
  }
}

// ---- emitted source

struct Golden {
  std::string file;
  KernelSpec spec;
};
std::vector<Golden> golden_kernels() {
  GemmSpec patches;
  patches.op.dtype = Dtype::bf16;
  patches.op.a = GemmA::patches;
  patches.op.patch_copy_bytes = 4;
  patches.op.residual = true;
  patches.params.m = patches.params.n = patches.params.k = 256;
  AttentionSpec attention;
  attention.op.mask = AttentionMask::causal;
  attention.params.queries = attention.params.keys = 77;
  NormSpec norm;
  norm.op.out_dtype = Dtype::f32;
  norm.op.function = RowFunction::l2_normalize;
  PointwiseSpec pointwise;
  pointwise.op.steps[0] = PointwiseStep::add_row;
  pointwise.op.steps[1] = PointwiseStep::quick_gelu;
  EmbeddingSpec embedding;
  embedding.op.position = true;
  HeadSpec head;
  head.op = {.pool = PoolKind::eot, .layer_norm = true, .project = true, .bias = false, .normalize = true};
  head.params.columns = head.params.outputs = 512;
  return {{"gemm", clip_fc1()}, {"gemm_patches", patches},       {"attention", attention},
          {"norm", norm},       {"pointwise", pointwise},        {"embedding", embedding},
          {"head", head},       {"similarity", SimilaritySpec{}}};
}
KernelCandidate default_candidate(const KernelSpec& spec) { return enumerate_candidates(spec, {}, orin()).front(); }

// By file.
std::map<std::string, KernelSource> golden_sources() {
  std::map<std::string, KernelSource> sources;
  for (const Golden& golden : golden_kernels()) sources[golden.file] = emit(default_candidate(golden.spec));
  sources["stream"] = emit(StreamConfig{});
  sources["image"] = emit(ImageConfig{.op = {.pass = ImagePass::columns, .dtype = Dtype::bf16}, .tile = {}});
  return sources;
}

// DUET_UPDATE_GOLDEN=1 rewrites the files.
TEST(Emit, MatchesTheGoldenFiles) {
  for (const auto& [file, source] : golden_sources()) {
    const std::filesystem::path path = kSource / "tests" / "golden" / (file + ".cu");
    if (std::getenv("DUET_UPDATE_GOLDEN") != nullptr) publish_file(path, source.text);
    EXPECT_EQ(source.text, read_text_file(path, 1 << 16)) << file;
  }
}

TEST(Emit, BlocksThatRegistersAreKeptForAreLaunchBounds) {
  AttentionSpec spec;
  spec.params.batch = spec.params.heads = 1;
  spec.params.queries = spec.params.keys = 50;
  const KernelSource source = emit(make_candidate(spec, AttentionTile{.min_blocks = 3}, orin()));
  EXPECT_EQ(source.entry, "attention_f16_d64_w4x1_kv64_s2_b3");
  EXPECT_NE(source.text.find("::value.threads(), 3)"), std::string::npos);
}

TEST(Emit, EqualOpAndTileGiveEqualSource) {
  GemmSpec other = clip_fc1();
  other.params.m = 77;
  other.params.n = 2048;
  const KernelSource a = emit(default_candidate(clip_fc1()));
  const KernelSource b = emit(default_candidate(other));
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.hash, b.hash);
  other.op.bias = false;
  EXPECT_NE(emit(default_candidate(other)).hash, a.hash);
}

TEST(Emit, EntryNamesAreTheSameOnlyForTheSameSource) {
  std::map<std::string, std::string> text_of_entry;
  for (const auto& [problem, spec] : problems_of_both("tiny-dual")) {
    for (const KernelCandidate& candidate : enumerate_candidates(spec, space("quick"), orin())) {
      const KernelSource source = emit(candidate);
      const auto [found, inserted] = text_of_entry.emplace(source.entry, source.text);
      EXPECT_EQ(found->second, source.text) << source.entry;
      for (const char c : source.entry) EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) || c == '_');
    }
  }
}

// nvcc, where there is one: the golden stubs as the device compiler sees them.
TEST(Emit, GoldenStubsCompileForOrin) {
  const std::string nvcc = std::filesystem::exists("/usr/local/cuda/bin/nvcc") ? "/usr/local/cuda/bin/nvcc" : "nvcc";
  if (std::system((nvcc + " --version > /dev/null 2>&1").c_str()) != 0) GTEST_SKIP() << "no nvcc on this machine";
  const TempDir dir;
  std::string all = "// every golden stub\n";
  for (const auto& [file, source] : golden_sources()) all += source.text;
  publish_file(dir / "all.cu", all);
  const std::string command = nvcc + " -arch=sm_87 -std=c++17 -cubin --expt-relaxed-constexpr -I " + kSource.string() +
                              " -o " + (dir / "all.cubin").string() + " " + (dir / "all.cu").string() + " > " +
                              (dir / "log").string() + " 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << read_text_file(dir / "log", 1 << 20);
}

}  // namespace
}  // namespace duet
