#include "emulator/warp_math.h"

#include <cstring>

#include "emulator/intrinsics_host.h"
#include "emulator/sanitizer.h"
#include "emulator/shared_memory.h"

namespace duet::emulator {
namespace {

constexpr int kTileM = 16, kTileN = 8, kTileK = 16;

using Float4 = float __attribute__((vector_size(16)));

// Both operands of one mma_tile call as fp32 matrices.
struct Matrices {
  float a[kTileM][kTileK];                      // one row of tiles at a time
  Float4 b[kMaxMmaTilesN][kTileK][kTileN / 4];  // (tile, k, n)
};

template <bool kBf16>
DUET_NO_SANITIZE inline __attribute__((always_inline)) void unpack(std::uint32_t bits, float& low, float& high) {
  if constexpr (kBf16) {
    low = host::bf16_to_float(static_cast<u16>(bits));
    high = host::bf16_to_float(static_cast<u16>(bits >> 16));
  } else {
    low = host::half_to_float(static_cast<u16>(bits));
    high = host::half_to_float(static_cast<u16>(bits >> 16));
  }
}

// Register q of lane l holds row l/4 + 8(q%2), columns 2(l%4) + 8(q/2) and the next.
template <bool kBf16>
DUET_NO_SANITIZE void gather_a(Matrices& m, int tile, const MmaOperands (&lanes)[kWarpLanes]) {
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    const std::uint32_t* registers = lanes[lane].a + 4 * tile;
    for (int q = 0; q < 4; ++q) {
      float* element = &m.a[lane / 4 + 8 * (q % 2)][2 * (lane % 4) + 8 * (q / 2)];
      unpack<kBf16>(registers[q], element[0], element[1]);
    }
  }
}

// Register q of lane l holds column l/4, rows 2(l%4) + 8q and the next.
template <bool kBf16>
DUET_NO_SANITIZE void gather_b(Matrices& m, int tiles_n, const MmaOperands (&lanes)[kWarpLanes]) {
  for (int tile = 0; tile < tiles_n; ++tile) {
    for (int lane = 0; lane < kWarpLanes; ++lane) {
      const int n = lane / 4;
      for (int q = 0; q < 2; ++q) {
        const int k = 2 * (lane % 4) + 8 * q;
        float low, high;
        unpack<kBf16>(lanes[lane].b[2 * tile + q], low, high);
        m.b[tile][k][n / 4][n % 4] = low;
        m.b[tile][k + 1][n / 4][n % 4] = high;
      }
    }
  }
}

// Adds two rows (row, row + 8) of one 16x8 product to the four lanes that hold them.
DUET_NO_SANITIZE inline __attribute__((always_inline)) void multiply_rows(const Matrices& m, int row, int tile,
                                                                          int c_offset,
                                                                          const MmaOperands (&lanes)[kWarpLanes]) {
  Float4 sum[2][2] = {};
  for (int k = 0; k < kTileK; ++k) {
    const Float4 left = m.b[tile][k][0], right = m.b[tile][k][1];
    sum[0][0] += m.a[row][k] * left;
    sum[0][1] += m.a[row][k] * right;
    sum[1][0] += m.a[row + 8][k] * left;
    sum[1][1] += m.a[row + 8][k] * right;
  }
  for (int pair = 0; pair < 4; ++pair) {
    float* c = lanes[4 * row + pair].c + c_offset;
    for (int half = 0; half < 2; ++half) {
      c[2 * half] += sum[half][pair / 2][2 * (pair % 2)];
      c[2 * half + 1] += sum[half][pair / 2][2 * (pair % 2) + 1];
    }
  }
}

template <bool kBf16>
DUET_NO_SANITIZE void multiply(int tiles_m, int tiles_n, const MmaOperands (&lanes)[kWarpLanes]) {
  Matrices m;
  gather_b<kBf16>(m, tiles_n, lanes);
  for (int i = 0; i < tiles_m; ++i) {
    gather_a<kBf16>(m, i, lanes);
    for (int j = 0; j < tiles_n; ++j) {
      for (int row = 0; row < 8; ++row) multiply_rows(m, row, j, 4 * (i * tiles_n + j), lanes);
    }
  }
}

}  // namespace

void mma_warp(bool bf16, int tiles_m, int tiles_n, const MmaOperands (&lanes)[kWarpLanes]) {
  if (bf16) {
    multiply<true>(tiles_m, tiles_n, lanes);
  } else {
    multiply<false>(tiles_m, tiles_n, lanes);
  }
}

DUET_NO_SANITIZE void ldmatrix_warp(const std::byte* const (&rows)[kWarpLanes],
                                    std::uint32_t* const (&destinations)[kWarpLanes], bool transposed) {
  for (int matrix = 0; matrix < 4; ++matrix) {
    const std::byte* const* row = rows + 8 * matrix;
    for (int lane = 0; lane < kWarpLanes; ++lane) {
      std::uint32_t& destination = destinations[lane][matrix];
      if (!transposed) {
        std::memcpy(&destination, row[lane / 4] + 4 * (lane % 4), 4);
        continue;
      }
      u16 low, high;  // elements (2(lane%4), lane/4) and the one below
      std::memcpy(&low, row[2 * (lane % 4)] + 2 * (lane / 4), 2);
      std::memcpy(&high, row[2 * (lane % 4) + 1] + 2 * (lane / 4), 2);
      destination = low | static_cast<u32>(high) << 16;
    }
  }
}

std::uint32_t wgmma_chunk_address(std::uint64_t descriptor, int row, int chunk) {
  constexpr std::uint32_t kFieldMask = 0x3fff, kRowBytes = 128;
  const auto field = [&](int bit) { return static_cast<std::uint32_t>(descriptor >> bit & kFieldMask) << 4; };
  const std::uint32_t address = field(0) + static_cast<std::uint32_t>(row / 8) * field(32) +
                                static_cast<std::uint32_t>(row % 8) * kRowBytes +
                                static_cast<std::uint32_t>(chunk) * 16;
  return permuted_128(address);
}

DUET_NO_SANITIZE float dot_chunk(bool bf16, const std::byte* a, const std::byte* b) {
  constexpr int kPairs = 4;
  std::uint32_t left[kPairs], right[kPairs];
  std::memcpy(left, a, sizeof left);
  std::memcpy(right, b, sizeof right);
  float sum = 0;
  for (int i = 0; i < kPairs; ++i) {
    float x[2], y[2];
    if (bf16) {
      unpack<true>(left[i], x[0], x[1]);
      unpack<true>(right[i], y[0], y[1]);
    } else {
      unpack<false>(left[i], x[0], x[1]);
      unpack<false>(right[i], y[0], y[1]);
    }
    sum += x[0] * y[0] + x[1] * y[1];
  }
  return sum;
}

}  // namespace duet::emulator
