#include "tuner/tolerance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"

namespace duet {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_values(std::size_t count) {
  std::mt19937 generator(5);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<float> rounded(const std::vector<float>& values, Dtype dtype) {
  std::vector<float> result;
  for (float value : values) result.push_back(half_to_float(dtype, float_to_half(dtype, value)));
  return result;
}

KernelSpec gemm_spec(Dtype dtype, int k, bool layer_norm) {
  GemmSpec spec;
  spec.op.dtype = dtype;
  spec.op.layer_norm = layer_norm;
  spec.params.k = k;
  return spec;
}

TEST(Tolerance, OneRoundingOfTheResultPasses) {
  const std::vector<float> expected = random_values(1 << 20);
  for (Dtype dtype : {Dtype::f16, Dtype::bf16}) {
    const Tolerance tolerance = kernel_tolerance(gemm_spec(dtype, 64, false), dtype);
    const Comparison comparison = compare(rounded(expected, dtype), expected, 1024);
    EXPECT_LT(comparison.norm_error, tolerance.norm);
    EXPECT_LT(comparison.element_error, tolerance.element);
    EXPECT_GT(comparison.norm_error, tolerance.norm / 10) << "looser than it need be";
  }
}

TEST(Tolerance, AMissingBiasOfOnePercentFails) {
  const std::vector<float> expected = random_values(4096);
  std::vector<float> got = expected;
  for (float& value : got) value += 0.01f;
  EXPECT_GT(compare(got, expected, 64).norm_error,
            kernel_tolerance(gemm_spec(Dtype::f16, 4096, true), Dtype::f16).norm);
}

TEST(Tolerance, OneWrongElementOfMillionsFails) {
  const std::vector<float> expected = random_values(1 << 20);
  std::vector<float> got = expected;
  got[123456] += 0.1f;
  const Comparison comparison = compare(got, expected, 1024);
  const Tolerance tolerance = kernel_tolerance(gemm_spec(Dtype::bf16, 768, true), Dtype::bf16);
  EXPECT_LT(comparison.norm_error, tolerance.norm);
  EXPECT_EQ(comparison.worst, 123456u);
  EXPECT_GT(compare(got, expected, 1024).element_error,
            kernel_tolerance(gemm_spec(Dtype::f16, 768, false), Dtype::f16).element);
}

TEST(Tolerance, GrowsWithDepthAndRoundings) {
  EXPECT_LT(kernel_tolerance(gemm_spec(Dtype::f16, 64, false), Dtype::f16).norm,
            kernel_tolerance(gemm_spec(Dtype::f16, 4096, false), Dtype::f16).norm);
  EXPECT_LT(kernel_tolerance(gemm_spec(Dtype::f16, 64, false), Dtype::f16).norm,
            kernel_tolerance(gemm_spec(Dtype::f16, 64, true), Dtype::f16).norm);
  EXPECT_LT(kernel_tolerance(gemm_spec(Dtype::f16, 64, false), Dtype::f16).norm,
            kernel_tolerance(gemm_spec(Dtype::bf16, 64, false), Dtype::bf16).norm);
}

TEST(Compare, NotANumberNeverPasses) {
  const std::vector<float> expected = {1, 2, 3, 4};
  for (float bad : {kNan, kInfinity, -kInfinity}) {
    std::vector<float> got = expected;
    got[2] = bad;
    const Comparison comparison = compare(got, expected, 2);
    EXPECT_FALSE(comparison.finite);
    EXPECT_EQ(comparison.worst, 2u);
  }
}

TEST(Compare, MaskedScoresMayBeInfiniteOrTheLowestHalf) {
  const std::vector<float> expected = {1, -kInfinity, -kInfinity, 2};
  EXPECT_TRUE(compare(std::vector<float>{1, -kInfinity, -65504, 2}, expected, 4).finite);
  EXPECT_FALSE(compare(std::vector<float>{1, kInfinity, -kInfinity, 2}, expected, 4).finite);
  EXPECT_FALSE(compare(std::vector<float>{1, kNan, -kInfinity, 2}, expected, 4).finite);
  EXPECT_FALSE(compare(std::vector<float>{1, 0, -kInfinity, 2}, expected, 4).finite);
}

TEST(Compare, AllZerosAreEqualToThemselves) {
  const std::vector<float> zeros(8);
  const Comparison comparison = compare(zeros, zeros, 4);
  EXPECT_TRUE(comparison.finite);
  EXPECT_EQ(comparison.norm_error, 0);
  EXPECT_EQ(comparison.cosine, 1);
}

TEST(Compare, SizesMustAgree) {
  EXPECT_THROW(compare(std::vector<float>(4), std::vector<float>(5), 1), Error);
  EXPECT_THROW(compare(std::vector<float>(4), std::vector<float>(4), 3), Error);
}

}  // namespace
}  // namespace duet
