// What a warp computes together: the fragments of ldmatrix and mma.sync, for all lanes at once, and a lane's share of a
// warpgroup product.
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

// One lane's part of a warpgroup product: c (columns / 8, 4), and where the tiles of both operands stand.
struct WgmmaOperands {
  bool bf16 = false;
  int columns = 0;
  float* c = nullptr;
  std::uint64_t a = 0, b = 0;  // descriptors (templates/device/wgmma.cuh)
};

// Shared memory's address of chunk `chunk` (0 or 1: 8 of the 16 elements) of a row of an operand.
std::uint32_t wgmma_chunk_address(std::uint64_t descriptor, int row, int chunk);
// The product of two rows of 8 elements.
float dot_chunk(bool bf16, const std::byte* a, const std::byte* b);

}  // namespace duet::emulator
