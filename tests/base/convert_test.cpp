#include "base/convert.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/tensor.h"

namespace duet {
namespace {

// The value of a half by the definition of its fields.
double value_by_definition(Dtype dtype, std::uint16_t bits) {
  const int mantissa_bits = dtype == Dtype::f16 ? 10 : 7;
  const int exponent_max = dtype == Dtype::f16 ? 31 : 255;
  const int bias = dtype == Dtype::f16 ? 15 : 127;
  const int exponent = (bits & 0x7fff) >> mantissa_bits;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == exponent_max) return mantissa != 0 ? std::nan("") : sign * HUGE_VAL;
  const double fraction = std::ldexp(mantissa, -mantissa_bits) + (exponent == 0 ? 0.0 : 1.0);
  return sign * std::ldexp(fraction, (exponent == 0 ? 1 : exponent) - bias);
}

class EveryHalf : public testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Types, EveryHalf, testing::Values(Dtype::f16, Dtype::bf16),
                         [](const auto& parameter) { return std::string(dtype_name(parameter.param)); });

TEST_P(EveryHalf, WidensToItsValueAndComesBack) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(GetParam(), half);
    const double wanted = value_by_definition(GetParam(), half);
    if (std::isnan(wanted)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(half_to_float(GetParam(), float_to_half(GetParam(), value)))) << bits;
    } else {
      ASSERT_EQ(static_cast<double>(value), wanted) << bits;
      ASSERT_EQ(float_to_half(GetParam(), value), half) << bits;
    }
  }
}

// Between each two neighbours: just under the middle goes down, just over it goes up, the middle goes to even.
TEST_P(EveryHalf, RoundsToNearestEven) {
  const std::uint32_t last_finite = GetParam() == Dtype::f16 ? 0x7bff : 0x7f7f;
  for (std::uint32_t bits = 0; bits < last_finite; ++bits) {
    const auto below = static_cast<std::uint16_t>(bits);
    const auto above = static_cast<std::uint16_t>(bits + 1);
    const double middle = (value_by_definition(GetParam(), below) + value_by_definition(GetParam(), above)) / 2;
    const auto exact = static_cast<float>(middle);
    ASSERT_EQ(static_cast<double>(exact), middle) << bits;
    ASSERT_EQ(float_to_half(GetParam(), exact), bits % 2 == 0 ? below : above) << bits;
    ASSERT_EQ(float_to_half(GetParam(), std::nextafter(exact, 0.0f)), below) << bits;
    ASSERT_EQ(float_to_half(GetParam(), std::nextafter(exact, HUGE_VALF)), above) << bits;
    ASSERT_EQ(float_to_half(GetParam(), -exact), 0x8000 | (bits % 2 == 0 ? below : above)) << bits;
  }
}

TEST(Convert, LargeValuesBecomeInfinity) {
  EXPECT_EQ(float_to_half(Dtype::f16, 65519.99f), 0x7bff);
  EXPECT_EQ(float_to_half(Dtype::f16, 65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(Dtype::f16, -1e30f), 0xfc00);
  EXPECT_EQ(float_to_half(Dtype::bf16, std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(float_to_half(Dtype::f16, HUGE_VALF), 0x7c00);
}

TEST(Convert, BulkAgreesWithSingleAtAnyAlignment) {
  std::mt19937 random(1);
  std::vector<float> values(10007);
  for (float& value : values) value = std::bit_cast<float>(static_cast<std::uint32_t>(random()) & 0xbfffffff);
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16}) {
    std::vector<std::byte> bytes(1 + 2 * values.size());
    from_floats(dtype, values, std::span(bytes).subspan(1));
    std::vector<float> back(values.size());
    to_floats(dtype, std::span<const std::byte>(bytes).subspan(1), back);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float wanted = half_to_float(dtype, float_to_half(dtype, values[i]));
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]), std::bit_cast<std::uint32_t>(wanted)) << i;
    }
  }
}

TEST(Convert, TensorsAmongAllFloatingTypes) {
  std::vector<float> values(2800);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 8 - 100;
  const HostTensor tensor = HostTensor::from_floats({28, 100}, values);
  const HostTensor half = convert(tensor, Dtype::f16);
  EXPECT_EQ(half.dtype, Dtype::f16);
  EXPECT_EQ(half.shape, tensor.shape);
  EXPECT_EQ(convert(half, Dtype::f32), tensor);  // eighths below 256 are exact
  const HostTensor brain = convert(half, Dtype::bf16);
  EXPECT_EQ(brain, convert(tensor, Dtype::bf16));
  EXPECT_EQ(convert(tensor, Dtype::f32), tensor);
}

TEST(Convert, IntegersConvertOnlyToThemselves) {
  const HostTensor ints = HostTensor::from_ints({2}, std::array<std::int32_t, 2>{1, 2});
  EXPECT_EQ(convert(ints, Dtype::i32), ints);
  EXPECT_THROW(convert(ints, Dtype::f32), Error);
  EXPECT_THROW(convert(HostTensor::zeros(Dtype::f16, {2}), Dtype::i32), Error);
}

TEST(Convert, BulkRefusesAWrongSize) {
  std::vector<std::byte> bytes(7);
  std::vector<float> values(4);
  EXPECT_THROW(to_floats(Dtype::f16, bytes, values), Error);
  EXPECT_THROW(from_floats(Dtype::i32, values, bytes), Error);
}

}  // namespace
}  // namespace duet
