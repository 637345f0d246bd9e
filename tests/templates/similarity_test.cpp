// The similarity kernel in the emulator, against double precision.
#include "templates/similarity.cuh"

#include "tests/templates/kernel_harness.h"

namespace duet {

struct plain_similarity_entry {
  static constexpr SimilarityConfig value{};
};
DUET_KERNEL(plain_similarity, SimilarityParams, plain_similarity_entry::value.threads(), 1) {
  similarity<plain_similarity_entry>(params);
}

struct biased_similarity_entry {
  static constexpr SimilarityConfig value = [] {
    SimilarityConfig config{};
    config.op.bias = true;
    config.tile.warps = 3;
    return config;
  }();
};
DUET_KERNEL(biased_similarity, SimilarityParams, biased_similarity_entry::value.threads(), 1) {
  similarity<biased_similarity_entry>(params);
}

namespace {

using namespace duet::testing;

struct Size {
  int images, texts, columns;
};

void check_similarity(emulator::KernelEntry entry, const SimilarityConfig& config, Size size, Runs runs) {
  SCOPED_TRACE(::testing::Message() << size.images << " x " << size.texts << " x " << size.columns);
  Random random(7);
  GuardedMatrix image = random.matrix(Dtype::f32, size.images, size.columns, round_up(size.columns, 8));
  GuardedMatrix text = random.matrix(Dtype::f32, size.texts, size.columns, round_up(size.columns, 8) + 8);
  GuardedMatrix scale = random.vector(1, 100.0);
  GuardedMatrix bias = random.vector(1, -10.0);
  GuardedMatrix out(Dtype::f32, size.images, size.texts, round_up(size.texts, 8));
  const SimilarityParams params{.image = image.as<float>(),
                                .text = text.as<float>(),
                                .scale = scale.as<float>(),
                                .bias = bias.as<float>(),
                                .out = out.as<float>(),
                                .images = size.images,
                                .texts = size.texts,
                                .columns = size.columns,
                                .ld_image = image.ld(),
                                .ld_text = text.ld(),
                                .ld_out = out.ld()};
  run_kernel<SimilarityParams>({.entry = entry,
                                .grid = similarity_grid(config, size.images, size.texts),
                                .threads = config.threads(),
                                .smem_bytes = config.smem_bytes(),
                                .params = params},
                               {&out}, runs);
  const auto expected = [&](int i, int j) {
    double dot = 0.0;
    for (int c = 0; c < size.columns; ++c) dot += image.get(i, c) * text.get(j, c);
    return scale.get(0, 0) * dot + (config.op.bias ? bias.get(0, 0) : 0.0);
  };
  expect_matches(out, expected, 100.0 * std::sqrt(size.columns));
}

TEST(Similarity, MatchesDoublePrecision) {
  for (const Size size : {Size{1, 1, 1}, Size{2, 3, 7}, Size{1, 9, 512}, Size{5, 16, 1152}, Size{3, 2, 770}}) {
    check_similarity(plain_similarity, plain_similarity_entry::value, size, Runs::two);
    check_similarity(biased_similarity, biased_similarity_entry::value, size, Runs::two);
  }
}

TEST(Similarity, EveryThreadOrderGivesTheSameBits) {
  check_similarity(biased_similarity, biased_similarity_entry::value, {3, 5, 264}, Runs::all_variants);
}

TEST(Similarity, NamesWhatIsInfeasible) {
  EXPECT_EQ(similarity_infeasible(SimilarityConfig{}), nullptr);
  EXPECT_NE(similarity_infeasible(SimilarityConfig{{}, {0}}), nullptr);
  EXPECT_NE(similarity_infeasible(SimilarityConfig{{}, {33}}), nullptr);
}

}  // namespace
}  // namespace duet
