// The embedding kernels in the emulator, against double precision.
#include "templates/embedding.cuh"

#include "tests/templates/kernel_harness.h"

namespace duet {
namespace {

constexpr EmbeddingConfig make_embedding(EmbeddingOp op, EmbeddingTile tile) {
  EmbeddingConfig config{};
  config.op = op;
  config.tile = tile;
  return config;
}

}  // namespace

#define EMBEDDING_KERNEL(name, ...)                                       \
  struct name##_entry {                                                   \
    static constexpr EmbeddingConfig value = make_embedding(__VA_ARGS__); \
  };                                                                      \
  DUET_KERNEL(name, EmbeddingParams, name##_entry::value.threads(), 1) { embedding<name##_entry>(params); }

// Ops: {dtype, source, class_token, position, layer_norm}; tiles: {warps_per_row, rows_per_block, cached_vectors}
EMBEDDING_KERNEL(tokens_f16, {Dtype::f16, EmbeddingSource::tokens, false, true, false}, {1, 4, 4})
EMBEDDING_KERNEL(tokens_bare_bf16, {Dtype::bf16, EmbeddingSource::tokens, false, false, false}, {2, 2, 0})
EMBEDDING_KERNEL(tokens_norm_f16, {Dtype::f16, EmbeddingSource::tokens, false, true, true}, {1, 2, 1})
EMBEDDING_KERNEL(clip_vision_f16, {Dtype::f16, EmbeddingSource::sequence, true, true, true}, {2, 3, 2})
EMBEDDING_KERNEL(class_only_bf16, {Dtype::bf16, EmbeddingSource::sequence, true, false, false}, {1, 1, 4})
EMBEDDING_KERNEL(siglip_vision_bf16, {Dtype::bf16, EmbeddingSource::sequence, false, true, false}, {4, 1, 1})
EMBEDDING_KERNEL(tokens_sums_f16, {Dtype::f16, EmbeddingSource::tokens, false, true, false, true}, {2, 2, 1})
EMBEDDING_KERNEL(clip_vision_sums_bf16, {Dtype::bf16, EmbeddingSource::sequence, true, true, true, true}, {1, 3, 2})
EMBEDDING_KERNEL(patches_f16, {Dtype::f16, EmbeddingSource::patches, false, false, false}, {1, 4, 2})
EMBEDDING_KERNEL(patches_bf16, {Dtype::bf16, EmbeddingSource::patches, false, false, false}, {2, 2, 0})

namespace {

using namespace duet::testing;

struct EmbeddingKernel {
  const char* name;
  emulator::KernelEntry entry;
  EmbeddingConfig config;
};

#define EMBEDDING_CASE(name) \
  EmbeddingKernel { #name, name, name##_entry::value }

const EmbeddingKernel kTokens[] = {EMBEDDING_CASE(tokens_f16), EMBEDDING_CASE(tokens_bare_bf16),
                                   EMBEDDING_CASE(tokens_norm_f16), EMBEDDING_CASE(tokens_sums_f16)};
const EmbeddingKernel kSequences[] = {EMBEDDING_CASE(clip_vision_f16), EMBEDDING_CASE(clip_vision_sums_bf16),
                                      EMBEDDING_CASE(class_only_bf16), EMBEDDING_CASE(siglip_vision_bf16)};
const EmbeddingKernel kPatches[] = {EMBEDDING_CASE(patches_f16), EMBEDDING_CASE(patches_bf16)};

struct Size {
  int batch, tokens, columns;
};
const Size kSizes[] = {{1, 1, 1}, {2, 3, 7}, {3, 5, 77}, {2, 7, 264}, {1, 4, 1152}};
constexpr int kVocabulary = 11;

struct EmbeddingProblem {
  EmbeddingConfig config;
  Size size;
  int ld;
  GuardedMatrix ids, x, table, class_token, position, gamma, beta, out, row_sums;

  EmbeddingProblem(const EmbeddingConfig& embedding, Size extent, Random& random)
      : config(embedding),
        size(extent),
        ld(round_up(extent.columns, 8) + 8),
        ids(Dtype::i32, extent.batch, extent.tokens, extent.tokens),
        x(matrix(random, std::max(1, extent.batch * (extent.tokens - (embedding.op.class_token ? 1 : 0))))),
        table(matrix(random, kVocabulary)),
        class_token(matrix(random, 1)),
        position(matrix(random, extent.tokens)),
        gamma(random.vector(extent.columns, 1.0)),
        beta(random.vector(extent.columns)),
        out(embedding.op.dtype, extent.batch * extent.tokens, extent.columns, ld),
        row_sums(Dtype::f32, extent.batch * extent.tokens, 2, 2) {
    ids.fill([&](int, int) { return random.integer(-3, kVocabulary + 3); });  // some outside the vocabulary
  }

  GuardedMatrix matrix(Random& random, int rows) const {
    return random.matrix(config.op.dtype, rows, size.columns, ld);
  }

  EmbeddingParams params() {
    EmbeddingParams arguments{};
    arguments.ids = ids.as<int>();
    arguments.x = x.data();
    arguments.table = table.data();
    arguments.class_token = class_token.data();
    arguments.position = position.data();
    arguments.gamma = gamma.as<float>();
    arguments.beta = beta.as<float>();
    arguments.out = out.data();
    arguments.row_sums_out = row_sums.as<float>();
    arguments.batch = size.batch;
    arguments.tokens = size.tokens;
    arguments.columns = size.columns;
    arguments.ld = ld;
    arguments.vocabulary = kVocabulary;
    arguments.epsilon = 1e-5f;
    return arguments;
  }

  void run(const EmbeddingKernel& kernel, Runs runs) {
    const EmbeddingParams arguments = params();
    run_kernel<EmbeddingParams>({.entry = kernel.entry,
                                 .grid = embedding_grid(config, size.batch, size.tokens),
                                 .threads = config.threads(),
                                 .smem_bytes = config.smem_bytes(),
                                 .params = arguments},
                                outputs(), runs);
  }

  std::vector<GuardedMatrix*> outputs() {
    if (config.op.writes_row_sums) return {&out, &row_sums};
    return {&out};
  }

  std::vector<double> source_row(int item, int token) const {
    if (config.op.source == EmbeddingSource::tokens) {
      const int id = static_cast<int>(ids.get(item, token));
      return row_of(table, std::clamp(id, 0, kVocabulary - 1));
    }
    if (!config.op.class_token) return row_of(x, item * size.tokens + token);
    return token == 0 ? row_of(class_token, 0) : row_of(x, item * (size.tokens - 1) + token - 1);
  }

  std::vector<double> expected_row(int row) const {
    const int token = row % size.tokens;
    std::vector<double> values = source_row(row / size.tokens, token);
    if (config.op.position) {
      for (int c = 0; c < size.columns; ++c) values[static_cast<std::size_t>(c)] += position.get(token, c);
    }
    if (config.op.layer_norm) layer_norm_reference(values, gamma, beta, 1e-5);
    return values;
  }

  void expect_matches_reference() const {
    expect_rows_match(out, [this](int row) { return expected_row(row); });
    if (config.op.writes_row_sums)
      expect_rows_match(row_sums, [this](int row) {
        std::vector<double> sums{0, 0};
        for (const double value : expected_row(row)) sums[0] += value, sums[1] += value * value;
        return sums;
      });
  }
};

void check_all_sizes(std::span<const EmbeddingKernel> kernels) {
  Random random(1);
  for (const EmbeddingKernel& kernel : kernels) {
    for (const Size size : kSizes) {
      SCOPED_TRACE(::testing::Message() << kernel.name << " " << size.batch << " x " << size.tokens << " x "
                                        << size.columns);
      EmbeddingProblem problem(kernel.config, size, random);
      problem.run(kernel, size.columns == 77 ? Runs::all_variants : Runs::two);
      problem.expect_matches_reference();
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Embedding, TokensMatchDoublePrecision) { check_all_sizes(kTokens); }
TEST(Embedding, SequencesMatchDoublePrecision) { check_all_sizes(kSequences); }

// ---- patches
struct ImageSize {
  int batch, channels, height, width, patch;
};

void check_patches(const EmbeddingKernel& kernel, ImageSize image, Runs runs) {
  SCOPED_TRACE(::testing::Message() << kernel.name << " " << image.height << " x " << image.width << " / "
                                    << image.patch);
  Random random(8);
  const int lines = image.batch * image.channels * image.height;
  GuardedMatrix pixels = random.matrix(kernel.config.op.dtype, lines, image.width, image.width);
  const int patches_per_line = image.width / image.patch;
  const int patches = patches_per_line * (image.height / image.patch);
  const int patch_ld = round_up(image.patch, 8);
  const int columns = image.channels * image.patch * patch_ld;
  GuardedMatrix out(kernel.config.op.dtype, image.batch * patches, columns, columns + 8);

  EmbeddingParams params{};
  params.x = pixels.data();
  params.out = out.data();
  params.batch = image.batch;
  params.tokens = patches;
  params.columns = columns;
  params.ld = out.ld();
  params.channels = image.channels;
  params.image_h = image.height;
  params.image_w = image.width;
  params.patch = image.patch;
  run_kernel<EmbeddingParams>({.entry = kernel.entry,
                               .grid = embedding_grid(kernel.config, image.batch, patches),
                               .threads = kernel.config.threads(),
                               .smem_bytes = kernel.config.smem_bytes(),
                               .params = params},
                              {&out}, runs);
  expect_matches(out, [&](int row, int column) {
    const int x = column % patch_ld, y = column / patch_ld % image.patch, channel = column / patch_ld / image.patch;
    if (x >= image.patch) return 0.0;
    const int patch = row % patches;
    const int line = (row / patches * image.channels + channel) * image.height;
    return pixels.get(line + patch / patches_per_line * image.patch + y, patch % patches_per_line * image.patch + x);
  });
}

TEST(Embedding, PatchesOfEveryAlignment) {
  const ImageSize sizes[] = {
      {2, 3, 32, 48, 16},                      // lines of whole vectors
      {1, 3, 64, 32, 32}, {2, 3, 28, 42, 14},  // even: 4-byte accesses
      {1, 2, 21, 14, 7},                       // odd
      {1, 3, 17, 33, 16},                      // an odd image cut into even patches, with pixels left over
      {1, 1, 2, 2, 1},
  };
  for (const EmbeddingKernel& kernel : kPatches) {
    for (const ImageSize& size : sizes) check_patches(kernel, size, Runs::two);
    check_patches(kernel, sizes[2], Runs::all_variants);
  }
}

TEST(Embedding, NamesWhatIsInfeasible) {
  const auto with_op = [](EmbeddingOp op) { return embedding_infeasible(make_embedding(op, {})); };
  EXPECT_EQ(embedding_infeasible(EmbeddingConfig{}), nullptr);
  EXPECT_NE(with_op({Dtype::f16, EmbeddingSource::tokens, true, false, false}), nullptr);
  EXPECT_NE(with_op({Dtype::f16, EmbeddingSource::patches, false, true, false}), nullptr);
  EXPECT_NE(with_op({Dtype::f32, EmbeddingSource::tokens, false, false, false}), nullptr);
  EXPECT_NE(embedding_infeasible(make_embedding({}, {2, 16, 4})), nullptr);
}

}  // namespace
}  // namespace duet
