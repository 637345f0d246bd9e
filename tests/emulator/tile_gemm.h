// Runs the test GEMM on random operands, for the tests and for the speed figure.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <random>
#include <vector>

#include "emulator/launch.h"
#include "tests/emulator/test_kernels.cuh"

namespace duet {

struct GemmProblem {
  int m = 77, n = 136, k = 264;
  Dtype dtype = Dtype::f16;
  std::vector<u16> a, b;
  std::vector<float> c;

  GemmProblem() : GemmProblem(77, 136, 264, Dtype::f16) {}
  GemmProblem(int rows, int columns, int depth, Dtype type) : m(rows), n(columns), k(depth), dtype(type) {
    std::mt19937 random(7);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    const auto fill = [&](std::vector<u16>& values, int count) {
      values.resize(static_cast<std::size_t>(count));
      for (u16& value : values)
        value =
            dtype == Dtype::f16 ? from_float<Dtype::f16>(uniform(random)) : from_float<Dtype::bf16>(uniform(random));
    };
    fill(a, m * k);
    fill(b, n * k);
    c.assign(static_cast<std::size_t>(m * n), std::nanf(""));
  }

  TileGemmParams params() { return {.a = a.data(), .b = b.data(), .c = c.data(), .m = m, .n = n, .k = k}; }

  double element(const std::vector<u16>& values, int row, int column) const {
    const u16 bits = values[static_cast<std::size_t>(row * k + column)];
    return dtype == Dtype::f16 ? to_float<Dtype::f16>(bits) : to_float<Dtype::bf16>(bits);
  }

  // The largest difference from a product in double precision; NaN if an element was not written.
  double worst_error() const {
    double worst = 0;
    for (int row = 0; row < m; ++row) {
      for (int column = 0; column < n; ++column) {
        double exact = 0;
        for (int i = 0; i < k; ++i) exact += element(a, row, i) * element(b, column, i);
        const double error = std::abs(double{c[static_cast<std::size_t>(row * n + column)]} - exact);
        if (std::isnan(error)) return error;
        worst = std::max(worst, error);
      }
    }
    return worst;
  }
};

template <typename Gemm>
emulator::LaunchRequest gemm_request(emulator::KernelEntry entry, const TileGemmParams& params) {
  return {.entry = entry,
          .params = &params,
          .grid = {ceil_div(params.n, Gemm::kBlockN), ceil_div(params.m, Gemm::kBlockM), 1},
          .threads = Gemm::kThreads,
          .smem_bytes = Gemm::kSmemBytes,
          .variant = {}};
}

}  // namespace duet
