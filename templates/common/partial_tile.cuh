// The accumulators on their way out: every set of warps leaves its fp32 tile in shared memory, in the place of the
// stages, and each thread then takes whole chunks of 8 columns, summed over the sets. C is so written 16 bytes a
// thread, whole rows at a time.
#pragma once

#include "templates/common/gemm_block.cuh"
#include "templates/common/tile.cuh"
#include "templates/common/vec.cuh"

namespace duet {

// Where one of a thread's chunks lies in the block's tile.
struct TileChunk {
  int row;
  int column;   // its first
  bool inside;  // the tile
};

// The i-th chunk of this thread.
template <class Shape>
DUET_DEVICE TileChunk tile_chunk(int i) {
  using Share = TileShare<Shape::kBlockM, Shape::kNChunks, Shape::kThreads>;
  static_assert(Share::kCopies == Shape::kConfig.chunks_per_thread(), "the host counts the same chunks");
  const int thread = thread_index();
  return TileChunk{Share::row(thread, i), Share::chunk(thread, i) * kChunkElements, Share::has(thread, i)};
}

template <class Shape>
class PartialTile {
 public:
  DUET_DEVICE PartialTile(const GemmPlace& place, SmemAddr smem) : place_(place), smem_(smem) {}

  DUET_DEVICE void store(const float (&acc)[Shape::kM][Shape::kN][4]) const {
    DUET_UNROLL
    for (int i = 0; i < Shape::kM; ++i) {
      DUET_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int row = place_.warp_row + i * kMmaM + half * 8 + place_.lane / 4;
        DUET_UNROLL
        for (int j = 0; j < Shape::kN; ++j) {
          const int column = place_.warp_column + j * kMmaN + place_.lane % 4 * 2;
          st_shared_vec8(address(place_.warp_k, row, column),
                         Vec8{{float_to_bits(acc[i][j][half * 2]), float_to_bits(acc[i][j][half * 2 + 1])}});
        }
      }
    }
  }

  // After a barrier. Sums in the order of the sets.
  DUET_DEVICE Float8 load(const TileChunk& chunk) const {
    Float8 sum = load(0, chunk);
    DUET_UNROLL
    for (int set = 1; set < Shape::kWarpsK; ++set) sum = add8(sum, load(set, chunk));
    return sum;
  }

 private:
  DUET_DEVICE Float8 load(int set, const TileChunk& chunk) const {
    const SmemAddr at = address(set, chunk.row, chunk.column);
    return join8(ld_shared_vec16(at), ld_shared_vec16(at + 16));
  }
  DUET_DEVICE SmemAddr address(int set, int row, int column) const {
    constexpr int kLd = Shape::kConfig.partial_ld();
    return smem_ + static_cast<u32>(((set * Shape::kBlockM + row) * kLd + column) * 4);
  }

  const GemmPlace& place_;
  SmemAddr smem_;
};

}  // namespace duet
