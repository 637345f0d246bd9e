// What the tests of the kernel templates share: guarded matrices, a launch in the emulator, comparison with a
// double-precision reference.
//
// Inputs have NaN in their padding and around them, which a kernel must never let through; outputs are poisoned before
// each launch, must be zero in the padding afterwards and unchanged around it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "base/tensor.h"
#include "emulator/launch.h"

#if defined(__SANITIZE_ADDRESS__)
#define DUET_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DUET_TEST_ASAN 1
#endif
#endif
#ifdef DUET_TEST_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace duet::testing {

// A (rows, ld) matrix of any element type between two guard bands.
class GuardedMatrix {
 public:
  GuardedMatrix(Dtype dtype, int rows, int columns, int ld)
      : dtype_(dtype), rows_(rows), columns_(columns), ld_(ld), bytes_(2 * kGuardBytes + payload_bytes()) {
    poison(std::byte{0xff});
  }
  GuardedMatrix(GuardedMatrix&&) = default;
  GuardedMatrix(const GuardedMatrix&) = delete;

  void* data() { return bytes_.data() + kGuardBytes; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data());
  }
  Dtype dtype() const { return dtype_; }
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  int ld() const { return ld_; }

  // 0xff is NaN in every floating-point type, 0x3c a harmless number.
  void poison(std::byte value) {
    open_guards();
    std::fill(bytes_.begin(), bytes_.end(), value);
    close_guards();
  }

  double get(int row, int column) const {
    const std::byte* at = address(row, column);
    if (dtype_ == Dtype::f32) return read<float>(at);
    if (dtype_ == Dtype::i32) return read<std::int32_t>(at);
    return half_to_float(dtype_, read<std::uint16_t>(at));
  }

  void set(int row, int column, double value) {
    std::byte* at = const_cast<std::byte*>(address(row, column));
    if (dtype_ == Dtype::f32) {
      write(at, static_cast<float>(value));
    } else if (dtype_ == Dtype::i32) {
      write(at, static_cast<std::int32_t>(value));
    } else {
      write(at, float_to_half(dtype_, static_cast<float>(value)));
    }
  }

  // value(row, column) in every element; the padding keeps its poison.
  template <class Value>
  GuardedMatrix& fill(const Value& value) {
    for (int row = 0; row < rows_; ++row) {
      for (int column = 0; column < columns_; ++column) set(row, column, value(row, column));
    }
    return *this;
  }

  std::vector<std::byte> payload() const {
    const auto begin = bytes_.begin() + kGuardBytes;
    return {begin, begin + static_cast<std::ptrdiff_t>(payload_bytes())};
  }

  void expect_guards_are(std::byte value) const {
    open_guards();
    const auto is_poison = [value](std::byte b) { return b == value; };
    EXPECT_TRUE(std::all_of(bytes_.begin(), bytes_.begin() + kGuardBytes, is_poison)) << "written before the matrix";
    EXPECT_TRUE(std::all_of(bytes_.end() - kGuardBytes, bytes_.end(), is_poison)) << "written past the matrix";
    close_guards();
  }

  void expect_zero_padding() const {
    for (int row = 0; row < rows_; ++row) {
      const std::byte* begin = address(row, columns_);
      const std::byte* end = address(row, 0) + static_cast<std::ptrdiff_t>(ld_) * dtype_bytes(dtype_);
      ASSERT_TRUE(std::all_of(begin, end, [](std::byte b) { return b == std::byte{0}; })) << "padding of row " << row;
    }
  }

 private:
  static constexpr std::ptrdiff_t kGuardBytes = 256;

  void open_guards() const {
#ifdef DUET_TEST_ASAN
    ASAN_UNPOISON_MEMORY_REGION(bytes_.data(), bytes_.size());
#endif
  }
  void close_guards() const {
#ifdef DUET_TEST_ASAN
    ASAN_POISON_MEMORY_REGION(bytes_.data(), kGuardBytes);
    ASAN_POISON_MEMORY_REGION(bytes_.data() + bytes_.size() - kGuardBytes, kGuardBytes);
#endif
  }

  std::size_t payload_bytes() const {
    return static_cast<std::size_t>(rows_) * static_cast<std::size_t>(ld_ * dtype_bytes(dtype_));
  }
  const std::byte* address(int row, int column) const {
    const auto element = static_cast<std::ptrdiff_t>(row) * ld_ + column;
    return bytes_.data() + kGuardBytes + element * dtype_bytes(dtype_);
  }
  template <class T>
  static T read(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  template <class T>
  static void write(std::byte* at, T value) {
    std::memcpy(at, &value, sizeof value);
  }

  Dtype dtype_;
  int rows_, columns_, ld_;
  std::vector<std::byte> bytes_;
};

// Reproducible values, so that a failure can be run again.
class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  double normal(double mean = 0.0, double deviation = 1.0) {
    return std::normal_distribution<double>(mean, deviation)(engine_);
  }
  int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }

  GuardedMatrix matrix(Dtype dtype, int rows, int columns, int ld, double mean = 0.0, double deviation = 1.0) {
    GuardedMatrix m(dtype, rows, columns, ld);
    m.fill([&](int, int) { return normal(mean, deviation); });
    return m;
  }
  // An fp32 vector without padding, as gamma, beta and biases are.
  GuardedMatrix vector(int columns, double mean = 0.0) { return matrix(Dtype::f32, 1, columns, columns, mean); }

 private:
  std::mt19937 engine_;
};

enum class Runs { two, all_variants };  // two: one of each poison pattern

inline std::vector<emulator::RunVariant> variants_of(Runs runs) {
  if (runs == Runs::all_variants) return emulator::standard_variants();
  return {{.poison = emulator::PoisonPattern::ones},
          {.order = emulator::ThreadOrder::reverse, .poison = emulator::PoisonPattern::finite}};
}

template <class Params>
struct Launch {
  emulator::KernelEntry entry;
  Grid3 grid;
  int threads;
  int smem_bytes;
  const Params& params;
};

// Launches once per variant with poisoned outputs. Every run must give the same bits: since the poison differs, this
// also proves that each element was written.
template <class Params>
void run_kernel(const Launch<Params>& launch, const std::vector<GuardedMatrix*>& outputs, Runs runs = Runs::two) {
  std::vector<std::vector<std::byte>> first;
  for (const emulator::RunVariant& variant : variants_of(runs)) {
    const std::byte poison = emulator::poison_byte(variant.poison);
    for (GuardedMatrix* output : outputs) output->poison(poison);
    const emulator::LaunchOutcome outcome = emulator::run_grid({.entry = launch.entry,
                                                                .params = &launch.params,
                                                                .grid = {launch.grid.x, launch.grid.y, launch.grid.z},
                                                                .threads = launch.threads,
                                                                .smem_bytes = launch.smem_bytes,
                                                                .variant = variant});
    ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault) << " in " << to_string(variant);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      outputs[i]->expect_guards_are(poison);
      outputs[i]->expect_zero_padding();
      if (first.size() == i) first.push_back(outputs[i]->payload());
      ASSERT_EQ(first[i] == outputs[i]->payload(), true) << "output " << i << " differs in " << to_string(variant);
    }
  }
}

// Half a unit in the last place of the output type, and a little for fp32 arithmetic.
inline double relative_tolerance(Dtype dtype) {
  if (dtype == Dtype::f16) return 0x1p-11 + 2e-5;
  if (dtype == Dtype::bf16) return 0x1p-8 + 2e-5;
  return 2e-5;
}

// `scale` is the size of the terms a result is a sum of: what fp32 rounding is relative to.
inline void expect_row_matches(const GuardedMatrix& actual, int row, const std::vector<double>& expected,
                               double scale = 1.0) {
  const double relative = relative_tolerance(actual.dtype());
  const double absolute = (actual.dtype() == Dtype::f16 ? 6e-8 : 0.0) + 1e-5 * scale;
  ASSERT_EQ(expected.size(), static_cast<std::size_t>(actual.columns()));
  for (int column = 0; column < actual.columns(); ++column) {
    const double want = expected[static_cast<std::size_t>(column)];
    const double got = actual.get(row, column);
    if (std::isinf(want) && got == want) continue;
    ASSERT_LE(std::abs(got - want), absolute + relative * std::abs(want))
        << "at (" << row << ", " << column << "): got " << got << ", expected " << want;
  }
}

// As above for each row; expected(row) gives a row in double precision.
template <class Expected>
void expect_rows_match(const GuardedMatrix& actual, const Expected& expected, double scale = 1.0) {
  for (int row = 0; row < actual.rows(); ++row) {
    expect_row_matches(actual, row, expected(row), scale);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// As above, element by element.
template <class Expected>
void expect_matches(const GuardedMatrix& actual, const Expected& expected, double scale = 1.0) {
  const auto expected_row = [&](int row) {
    std::vector<double> values;
    for (int column = 0; column < actual.columns(); ++column) values.push_back(expected(row, column));
    return values;
  };
  expect_rows_match(actual, expected_row, scale);
}

// A row as doubles, for references.
inline std::vector<double> row_of(const GuardedMatrix& m, int row) {
  std::vector<double> values(static_cast<std::size_t>(m.columns()));
  for (int column = 0; column < m.columns(); ++column) values[static_cast<std::size_t>(column)] = m.get(row, column);
  return values;
}

// ---- references shared by families
inline void layer_norm_reference(std::vector<double>& row, const GuardedMatrix& gamma, const GuardedMatrix& beta,
                                 double epsilon) {
  double mean = 0.0, variance = 0.0;
  for (const double x : row) mean += x / static_cast<double>(row.size());
  for (const double x : row) variance += (x - mean) * (x - mean) / static_cast<double>(row.size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int column = static_cast<int>(i);
    row[i] = (row[i] - mean) / std::sqrt(variance + epsilon) * gamma.get(0, column) + beta.get(0, column);
  }
}

inline void l2_normalize_reference(std::vector<double>& row) {
  double squares = 0.0;
  for (const double x : row) squares += x * x;
  const double norm = std::max(std::sqrt(squares), 1e-12);
  for (double& x : row) x /= norm;
}

}  // namespace duet::testing
