// Element conversions of the host intrinsics against Eigen's, and the approximate functions against libm.
#include <gtest/gtest.h>

#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "templates/device/intrinsics.cuh"

namespace duet {
namespace {

float eigen_half(u16 bits) { return static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(bits)); }
u16 eigen_half_bits(float value) { return Eigen::numext::bit_cast<u16>(static_cast<Eigen::half>(value)); }
float eigen_bf16(u16 bits) { return static_cast<float>(Eigen::numext::bit_cast<Eigen::bfloat16>(bits)); }
u16 eigen_bf16_bits(float value) { return Eigen::numext::bit_cast<u16>(static_cast<Eigen::bfloat16>(value)); }

TEST(Conversions, EveryHalfToFloatAndBack) {
  for (u32 pattern = 0; pattern < 65536; ++pattern) {
    const u16 bits = static_cast<u16>(pattern);
    const float value = to_float<Dtype::f16>(bits), expected = eigen_half(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << pattern;
      ASSERT_EQ(from_float<Dtype::f16>(value), 0x7fff);
      continue;
    }
    ASSERT_EQ(float_to_bits(value), float_to_bits(expected)) << pattern;
    ASSERT_EQ(from_float<Dtype::f16>(value), bits);
  }
}

TEST(Conversions, EveryBf16ToFloatAndBack) {
  for (u32 pattern = 0; pattern < 65536; ++pattern) {
    const u16 bits = static_cast<u16>(pattern);
    const float value = to_float<Dtype::bf16>(bits);
    if (std::isnan(eigen_bf16(bits))) {
      ASSERT_TRUE(std::isnan(value)) << pattern;
      ASSERT_EQ(from_float<Dtype::bf16>(value), 0x7fff);
      continue;
    }
    ASSERT_EQ(float_to_bits(value), float_to_bits(eigen_bf16(bits))) << pattern;
    ASSERT_EQ(from_float<Dtype::bf16>(value), bits);
  }
}

// Between neighbours: the ties, and one unit to either side of each.
TEST(Conversions, RoundToNearestEvenAtEveryTie) {
  for (u32 pattern = 0; pattern < 0x7c00; ++pattern) {
    const double low = to_float<Dtype::f16>(static_cast<u16>(pattern));
    const double high = pattern == 0x7bff ? 65536.0 : double{to_float<Dtype::f16>(static_cast<u16>(pattern + 1))};
    const float tie = static_cast<float>((low + high) / 2);
    for (const float value : {std::nextafter(tie, 0.0f), tie, std::nextafter(tie, 1e9f)}) {
      ASSERT_EQ(from_float<Dtype::f16>(value), eigen_half_bits(value)) << value;
      ASSERT_EQ(from_float<Dtype::f16>(-value), eigen_half_bits(-value)) << value;
    }
  }
}

TEST(Conversions, RandomFloats) {
  std::mt19937 random(3);
  for (int i = 0; i < 1'000'000; ++i) {
    const float value = bits_to_float(static_cast<u32>(random()));
    if (std::isnan(value)) continue;
    ASSERT_EQ(from_float<Dtype::f16>(value), eigen_half_bits(value)) << value;
    ASSERT_EQ(from_float<Dtype::bf16>(value), eigen_bf16_bits(value)) << value;
  }
}

TEST(Conversions, PackPutsTheFirstValueLow) {
  EXPECT_EQ(pack2<Dtype::f16>(1.0f, -2.0f), 0xc0003c00u);
  EXPECT_EQ(pack2<Dtype::bf16>(1.0f, -2.0f), 0xc0003f80u);
}

TEST(Functions, FollowTheDeviceAtTheEdges) {
  const float infinity = std::numeric_limits<float>::infinity(), subnormal = 1e-40f;
  EXPECT_EQ(exp2_approx(-infinity), 0.0f);
  EXPECT_EQ(exp2_approx(-140.0f), 0.0f) << "subnormal results are flushed";
  EXPECT_EQ(exp2_approx(3.0f), 8.0f);
  EXPECT_EQ(rsqrt_approx(subnormal), infinity);
  EXPECT_EQ(rsqrt_approx(4.0f), 0.5f);
  EXPECT_EQ(max_f32(std::nanf(""), 1.0f), 1.0f);
  EXPECT_FLOAT_EQ(tanh_approx(0.5f), std::tanh(0.5f));
  EXPECT_EQ(tanh_approx(-infinity), -1.0f);
  EXPECT_FLOAT_EQ(error_function(0.5f), std::erf(0.5f));
}

}  // namespace
}  // namespace duet
