#include "base/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "base/error.h"

namespace duet {
namespace {

TEST(Tensor, NamesRoundTrip) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32})
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
  EXPECT_THROW(parse_dtype("f64"), Error);
}

TEST(Tensor, ShapeText) {
  EXPECT_EQ(shape_text({2, 50, 768}), "(2, 50, 768)");
  EXPECT_EQ(shape_text({}), "()");
}

TEST(Tensor, ElementCount) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 0, 3}), 0);
  EXPECT_EQ(element_count({2, 50, 768}), 76800);
}

TEST(Tensor, ElementCountRefusesOverflowAndNegativeExtents) {
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  EXPECT_THROW(element_count({huge}), Error);
  EXPECT_THROW(element_count({huge, 2}), Error);
  EXPECT_THROW(element_count({std::int64_t{1} << 32, std::int64_t{1} << 32}), Error);
  EXPECT_THROW(element_count({3, -1}), Error);
  EXPECT_THROW(element_count({0, -1}), Error);
}

TEST(Tensor, ViewsCheckTheType) {
  HostTensor tensor = HostTensor::from_floats({2}, std::array{1.0f, 2.0f});
  EXPECT_EQ(tensor.floats()[1], 2.0f);
  EXPECT_THROW(tensor.ints(), Error);
  EXPECT_THROW(tensor.halves(), Error);
  EXPECT_EQ(HostTensor::zeros(Dtype::f16, {3}).halves().size(), 3u);
}

TEST(Tensor, ValuesMustFillTheShape) {
  EXPECT_THROW(HostTensor::from_floats({3}, std::array{1.0f, 2.0f}), Error);
  EXPECT_THROW(HostTensor::from_ints({1}, std::array<std::int32_t, 2>{1, 2}), Error);
}

}  // namespace
}  // namespace duet
