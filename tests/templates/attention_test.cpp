// The attention kernels, run by the emulator over ragged sizes and compared with an fp64 reference.
#include "templates/attention.cuh"

#include "tests/templates/matrix16.h"

namespace duet {

#define ATTENTION_KERNEL(name, dtype, head_dim, mask, ...)                                                \
  struct name##_config {                                                                                  \
    static constexpr AttentionConfig value{{Dtype::dtype, head_dim, AttentionMask::mask}, {__VA_ARGS__}}; \
  };                                                                                                      \
  DUET_KERNEL(name, AttentionParams, name##_config::value.threads(), 1) { attention<name##_config>(params); }

ATTENTION_KERNEL(attention_64, f16, 64, none, 4, 64, 2)
ATTENTION_KERNEL(attention_64_causal, f16, 64, causal, 2, 32, 3)
ATTENTION_KERNEL(attention_64_padding, f16, 64, padding, 1, 64, 2)
ATTENTION_KERNEL(attention_64_causal_padding, f16, 64, causal_padding, 3, 16, 4)
ATTENTION_KERNEL(attention_32, f16, 32, none, 1, 16, 2)
ATTENTION_KERNEL(attention_72, f16, 72, none, 2, 64, 2)
ATTENTION_KERNEL(attention_72_bf16, bf16, 72, padding, 1, 48, 2)
ATTENTION_KERNEL(attention_80_causal, f16, 80, causal, 4, 32, 2)
ATTENTION_KERNEL(attention_96, bf16, 96, none, 1, 32, 3)
ATTENTION_KERNEL(attention_128, f16, 128, causal, 2, 64, 2)
// sets of warps that share the keys
ATTENTION_KERNEL(attention_64_sets2, f16, 64, none, 2, 64, 2, 2)
ATTENTION_KERNEL(attention_72_sets3, bf16, 72, none, 1, 48, 3, 3)
ATTENTION_KERNEL(attention_64_sets4_all, f16, 64, causal_padding, 2, 64, 2, 4)
ATTENTION_KERNEL(attention_80_sets2_causal, f16, 80, causal, 3, 32, 3, 2)
ATTENTION_KERNEL(attention_8, f16, 8, none, 1, 128, 2)

namespace {

using testing::Matrix16;

struct Kernel {
  const char* name;
  AttentionConfig config;
  emulator::KernelEntry entry;
};
#define KERNEL(name) \
  Kernel { #name, name##_config::value, &name }

struct Sizes {
  int batch, heads, queries, keys;
};

// Q alone, K and V side by side in one matrix with columns in between that belong to others.
class Problem {
 public:
  Problem(const AttentionConfig& config, Sizes sizes, float spread = 1.0f)
      : config_(config),
        sizes_(sizes),
        q_(config.op.dtype, sizes.batch * sizes.queries, width()),
        kv_(config.op.dtype, sizes.batch * sizes.keys, 3 * width()),
        out_(config.op.dtype, sizes.batch * sizes.queries, width(), width() + 8, 0xff),
        mask_(static_cast<std::size_t>(sizes.batch * sizes.keys) * sizeof(int)) {
    q_.fill_normal(1, 0.0f, spread);
    kv_.fill_normal(2, 0.0f, 1.0f);
    // The first item keeps a prefix, the second every key but some in between, the third nothing.
    int* mask = reinterpret_cast<int*>(mask_.data());
    for (int b = 0; b < sizes.batch; ++b) {
      for (int key = 0; key < sizes.keys; ++key) {
        const bool allowed = b == 0 ? key < (sizes.keys + 1) / 2 : b == 1 ? key % 5 != 0 : false;
        mask[b * sizes.keys + key] = allowed ? 1 : 0;
      }
    }
  }

  AttentionParams params() const {
    AttentionParams p{};
    p.q = q_.data();
    p.k = static_cast<const u16*>(kv_.data()) + width();
    p.v = static_cast<const u16*>(kv_.data()) + 2 * width();
    p.out = out_.data();
    p.mask = config_.padding() ? reinterpret_cast<const int*>(mask_.data()) : nullptr;
    p.batch = sizes_.batch, p.heads = sizes_.heads, p.queries = sizes_.queries, p.keys = sizes_.keys;
    p.ldq = q_.ld(), p.ldk = p.ldv = kv_.ld(), p.ldo = out_.ld();
    p.q_batch_stride = sizes_.queries * q_.ld();
    p.k_batch_stride = p.v_batch_stride = sizes_.keys * kv_.ld();
    p.o_batch_stride = sizes_.queries * out_.ld();
    p.scale = 1.0f / std::sqrt(static_cast<float>(config_.op.head_dim));
    return p;
  }

  std::vector<double> reference() const {
    const std::vector<float> q = q_.floats(), kv = kv_.floats();
    std::vector<double> result;
    std::vector<double> weights(static_cast<std::size_t>(sizes_.keys));
    const int d = config_.op.head_dim;
    for (int row = 0; row < sizes_.batch * sizes_.queries; ++row) {
      const int b = row / sizes_.queries, query = row % sizes_.queries;
      for (int head = 0; head < sizes_.heads; ++head) {
        const float* q_row = q.data() + row * q_.ld() + head * d;
        const float* k_rows = kv.data() + b * sizes_.keys * kv_.ld() + width() + head * d;
        const double sum = softmax_weights(b, query, q_row, k_rows, weights);
        for (int i = 0; i < d; ++i) {
          double x = 0.0;
          for (int key = 0; key < sizes_.keys; ++key) {
            x += weights[static_cast<std::size_t>(key)] * k_rows[key * kv_.ld() + width() + i];
          }
          result.push_back(sum > 0.0 ? x / sum : 0.0);
        }
      }
    }
    return result;
  }

  // Without the columns beyond the width, which must be untouched.
  std::vector<float> result() const {
    std::vector<float> dense;
    const std::vector<float> all = out_.floats();
    for (int row = 0; row < out_.rows(); ++row) {
      dense.insert(dense.end(), all.begin() + row * out_.ld(), all.begin() + row * out_.ld() + width());
      EXPECT_TRUE(std::isnan(all[static_cast<std::size_t>(row * out_.ld() + width())])) << "wrote beyond the heads";
    }
    return dense;
  }

  void reset() const { std::memset(out_.data(), 0xff, out_.bytes().size()); }
  const Matrix16& out() const { return out_; }

 private:
  int width() const { return sizes_.heads * config_.op.head_dim; }
  bool allowed(int b, int query, int key) const {
    if (config_.causal() && key > query) return false;
    return !config_.padding() || reinterpret_cast<const int*>(mask_.data())[b * sizes_.keys + key] != 0;
  }
  // Unnormalised weights relative to the largest score; returns their sum, 0 where no key is allowed.
  double softmax_weights(int b, int query, const float* q, const float* k, std::vector<double>& weights) const {
    double largest = -1e300, sum = 0.0;
    for (int key = 0; key < sizes_.keys; ++key) {
      double x = 0.0;
      for (int i = 0; i < config_.op.head_dim; ++i) x += static_cast<double>(q[i]) * k[key * kv_.ld() + i];
      weights[static_cast<std::size_t>(key)] = x / std::sqrt(static_cast<double>(config_.op.head_dim));
      if (allowed(b, query, key)) largest = std::max(largest, weights[static_cast<std::size_t>(key)]);
    }
    for (int key = 0; key < sizes_.keys; ++key) {
      double& weight = weights[static_cast<std::size_t>(key)];
      weight = allowed(b, query, key) ? std::exp(weight - largest) : 0.0;
      sum += weight;
    }
    return sum;
  }

  AttentionConfig config_;
  Sizes sizes_;
  Matrix16 q_, kv_, out_;
  testing::AlignedBytes mask_;
};

emulator::LaunchRequest request_for(const Kernel& kernel, const AttentionParams& params) {
  const Grid3 grid = attention_grid(kernel.config, params.queries, params.heads, params.batch);
  return {.entry = kernel.entry,
          .params = &params,
          .grid = {grid.x, grid.y, grid.z},
          .threads = kernel.config.threads(),
          .smem_bytes = kernel.config.smem_bytes(),
          .variant = {}};
}

void check(const Kernel& kernel, Sizes sizes, float spread = 1.0f) {
  SCOPED_TRACE(fmt::format("{} batch={} heads={} queries={} keys={}", kernel.name, sizes.batch, sizes.heads,
                           sizes.queries, sizes.keys));
  ASSERT_EQ(attention_infeasible(kernel.config), nullptr);
  const Problem problem(kernel.config, sizes, spread);
  const AttentionParams params = problem.params();
  const emulator::LaunchOutcome outcome = emulator::run_grid(request_for(kernel, params));
  ASSERT_TRUE(outcome.ok()) << emulator::to_string(*outcome.fault);
  // The weights are rounded to 16 bits before they meet V.
  testing::expect_close(problem.reference(), problem.result(), kernel.config.op.dtype, 1.0);
}

TEST(Attention, SequencesOfAllLengths) {
  for (const int tokens : {1, 7, 16, 50, 64, 77}) check(KERNEL(attention_64), {1, 2, tokens, tokens});
  check(KERNEL(attention_64), {2, 2, 65, 65});
  check(KERNEL(attention_64), {1, 1, 130, 197});
}

TEST(Attention, HeadDims) {
  for (const Kernel& kernel :
       {KERNEL(attention_8), KERNEL(attention_32), KERNEL(attention_72), KERNEL(attention_72_bf16),
        KERNEL(attention_80_causal), KERNEL(attention_96), KERNEL(attention_128)}) {
    check(kernel, {2, 2, 50, 50});
    check(kernel, {1, 1, 19, 77});
  }
}

TEST(Attention, CausalSkipsWhatLiesAboveTheDiagonal) {
  for (const int tokens : {1, 15, 33, 77, 100}) {
    check(KERNEL(attention_64_causal), {1, 1, tokens, tokens});
    check(KERNEL(attention_64_causal_padding), {2, 1, tokens, tokens});
  }
  check(KERNEL(attention_64_causal), {1, 1, 77, 20});
  check(KERNEL(attention_64_causal), {1, 1, 20, 77});
}

// The third item of the batch may attend to nothing at all: zeros, no NaN.
TEST(Attention, PaddingMasks) {
  check(KERNEL(attention_64_padding), {3, 2, 50, 50});
  check(KERNEL(attention_64_padding), {3, 1, 7, 130});
  check(KERNEL(attention_64_causal_padding), {3, 1, 50, 50});
  check(KERNEL(attention_72_bf16), {3, 1, 20, 100});
}

TEST(Attention, OneQueryPoolsAllKeys) {
  check(KERNEL(attention_64), {2, 2, 1, 196});
  check(KERNEL(attention_72), {1, 2, 1, 256});
  check(KERNEL(attention_32), {1, 1, 1, 729});
}

TEST(Attention, SetsShareTheKeys) {
  for (const Kernel& kernel : {KERNEL(attention_64_sets2), KERNEL(attention_72_sets3), KERNEL(attention_64_sets4_all),
                               KERNEL(attention_80_sets2_causal)}) {
    for (const int tokens : {1, 15, 33, 50, 77, 130}) check(kernel, {3, 1, tokens, tokens});
    check(kernel, {1, 2, 1, 196});
    check(kernel, {1, 1, 77, 20});
  }
}

TEST(Attention, LargeScoresDoNotOverflow) {
  check(KERNEL(attention_64), {1, 1, 20, 100}, 60.0f);
  check(KERNEL(attention_64_sets2), {1, 1, 20, 100}, 60.0f);
}

TEST(Attention, SameBitsInEveryOrder) {
  for (const Kernel& kernel : {KERNEL(attention_64), KERNEL(attention_64_causal_padding), KERNEL(attention_72_bf16),
                               KERNEL(attention_80_causal), KERNEL(attention_64_sets4_all)}) {
    for (const int queries : {50, 17}) {  // of 17 some warps have none
      SCOPED_TRACE(fmt::format("{} queries={}", kernel.name, queries));
      const Problem problem(kernel.config, {1, 2, queries, 77});
      const AttentionParams params = problem.params();
      testing::expect_identical_in_all_variants(request_for(kernel, params), problem.out().bytes(),
                                                [&] { problem.reset(); });
    }
  }
}

TEST(AttentionConfig, NamesWhatIsInfeasible) {
  const auto reason = [](auto change) {
    AttentionConfig config{};
    change(config);
    const char* text = attention_infeasible(config);
    return std::string(text == nullptr ? "" : text);
  };
  EXPECT_EQ(reason([](AttentionConfig&) {}), "");
  EXPECT_EQ(reason([](AttentionConfig& c) { c.op.head_dim = 60; }), "head_dim must be a multiple of 8 from 8 to 128");
  EXPECT_EQ(reason([](AttentionConfig& c) { c.tile.stages = 1; }), "stages must be 2 to 4");
  EXPECT_EQ(reason([](AttentionConfig& c) { c.tile.block_kv = 40; }), "block_kv must be a multiple of 16 * warps_kv");
  EXPECT_EQ(reason([](AttentionConfig& c) { c.op.head_dim = 128, c.tile.block_kv = 128; }),
            "head_dim and block_kv need more than 255 registers a thread");
  EXPECT_EQ(reason([](AttentionConfig& c) {
              c.op.head_dim = 128, c.tile = {2, 128, 4, 2};
            }),
            "the block needs more than 227 KiB of shared memory");
  EXPECT_EQ(reason([](AttentionConfig& c) { c.tile.min_blocks = 3; }), "");
  EXPECT_EQ(reason([](AttentionConfig& c) { c.tile.min_blocks = 2; }),
            "min_blocks has no effect: registers allow as many");
  EXPECT_EQ(reason([](AttentionConfig& c) { c.tile.min_blocks = 6; }), "min_blocks leaves a thread too few registers");
  EXPECT_EQ(reason([](AttentionConfig& c) { c.tile.warps = 2, c.tile.stages = 4, c.tile.min_blocks = 6; }),
            "min_blocks need more than 227 KiB of shared memory");
}

}  // namespace
}  // namespace duet
