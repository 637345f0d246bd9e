// What a warp computes together: the fragments of ldmatrix and mma.sync, for all lanes at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace duet::emulator {

inline constexpr int kWarpLanes = 32;

// One lane's operands of mma_tile: c (tiles_m, tiles_n, 4), a (tiles_m, 4), b (tiles_n, 2).
struct MmaOperands {
  float* c = nullptr;
  const std::uint32_t* a = nullptr;
  const std::uint32_t* b = nullptr;
};

inline constexpr int kMaxMmaTilesN = 32;

// c += a * b for the whole warp with m16n8k16 tiles. tiles_n is at most kMaxMmaTilesN.
void mma_warp(bool bf16, int tiles_m, int tiles_n, const MmaOperands (&lanes)[kWarpLanes]);

// rows[l] is the 16-byte row (l % 8) of matrix (l / 8); destinations[l] receives lane l's four registers.
void ldmatrix_warp(const std::byte* const (&rows)[kWarpLanes], std::uint32_t* const (&destinations)[kWarpLanes],
                   bool transposed);

}  // namespace duet::emulator
