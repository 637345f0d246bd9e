// Matrices of 16-bit elements for the kernel tests: exact-size heap blocks (so that AddressSanitizer sees the first
// byte read or written outside), random values, and comparison with an fp64 reference.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/convert.h"
#include "emulator/launch.h"
#include "templates/device/types.h"

namespace duet::testing {

// One 16-byte aligned allocation without slack.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size, std::uint8_t fill = 0)
      : size_(size), data_(static_cast<std::byte*>(::operator new(std::max<std::size_t>(size, 1), kAlignment))) {
    std::memset(data_.get(), fill, size);
  }
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::align_val_t kAlignment{16};
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, kAlignment); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

inline void store_values(Dtype dtype, std::span<const float> values, std::byte* destination) {
  from_floats(dtype, values, {destination, values.size() * 2});
}

// A row-major matrix of f16 or bf16 with leading dimension `ld`; padding is zero unless told otherwise.
class Matrix16 {
 public:
  Matrix16(Dtype dtype, int rows, int columns, int ld = 0, std::uint8_t fill = 0)
      : dtype_(dtype),
        rows_(rows),
        columns_(columns),
        ld_(ld == 0 ? round_up(columns, 8) : ld),
        bytes_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(ld_) * 2, fill) {}

  void* data() const { return bytes_.data(); }
  int ld() const { return ld_; }
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  const AlignedBytes& bytes() const { return bytes_; }

  // Normal values; the seed makes them repeatable.
  void fill_normal(std::uint32_t seed, float mean, float deviation) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> row(static_cast<std::size_t>(columns_));
    for (int r = 0; r < rows_; ++r) {
      for (float& value : row) value = normal(engine);
      store_values(dtype_, row, bytes_.data() + offset(r, 0));
    }
  }

  // All elements, padding included, as fp32.
  std::vector<float> floats() const {
    std::vector<float> values(bytes_.size() / 2);
    to_floats(dtype_, {bytes_.data(), bytes_.size()}, values);
    return values;
  }

 private:
  std::size_t offset(int r, int c) const {
    return (static_cast<std::size_t>(r) * static_cast<std::size_t>(ld_) + static_cast<std::size_t>(c)) * 2;
  }
  Dtype dtype_;
  int rows_, columns_, ld_;
  AlignedBytes bytes_;
};

// Half the distance between neighbouring values near 1.
inline double unit_roundoff(Dtype dtype) { return dtype == Dtype::f16 ? 0x1p-11 : 0x1p-8; }

// The result differs from the reference by one rounding of the element, and by fp32 arithmetic: `slack` of the
// reference's root mean square, and `roundings` unit roundoffs of it where intermediate values are 16-bit too.
inline void expect_close(const std::vector<double>& reference, const std::vector<float>& result, Dtype dtype,
                         double roundings = 0.0, double slack = 1e-4) {
  ASSERT_EQ(reference.size(), result.size());
  double norm2 = 0.0, error2 = 0.0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double error = static_cast<double>(result[i]) - reference[i];
    norm2 += reference[i] * reference[i];
    error2 += error * error;
  }
  const double unit = unit_roundoff(dtype);
  const double rms = std::sqrt(norm2 / static_cast<double>(std::max<std::size_t>(reference.size(), 1)));
  EXPECT_LE(std::sqrt(error2), std::sqrt(norm2) * (unit * (1.0 + roundings) + slack)) << "by norm";
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double bound = std::abs(reference[i]) * unit * 1.01 + rms * (slack + 4.0 * roundings * unit) + 1e-7;
    ASSERT_LE(std::abs(static_cast<double>(result[i]) - reference[i]), bound)
        << "element " << i << " of " << reference.size() << ": " << result[i] << ", expected " << reference[i];
  }
}

// Runs under every variant and expects the same bytes in `output` each time. `reset` is called before each run.
inline void expect_identical_in_all_variants(emulator::LaunchRequest request, const AlignedBytes& output,
                                             const std::function<void()>& reset) {
  std::vector<std::byte> first;
  for (const emulator::RunVariant& variant : emulator::standard_variants()) {
    request.variant = variant;
    reset();
    const emulator::LaunchOutcome outcome = emulator::run_grid(request);
    ASSERT_TRUE(outcome.ok()) << emulator::to_string(variant) << ": " << emulator::to_string(*outcome.fault);
    const std::vector<std::byte> bytes(output.data(), output.data() + output.size());
    if (first.empty()) first = bytes;
    ASSERT_TRUE(first == bytes) << "other bits in variant " << emulator::to_string(variant);
  }
}

}  // namespace duet::testing
