// Tiles of 16-bit elements in shared memory: where each 16-byte chunk lies, and how a block copies tiles in.
//
// A tile is (rows, chunks) of 8 elements. Chunks are permuted within their row so that the 8 chunks that ldmatrix reads
// together (8 consecutive rows, one column) lie in 8 different groups of 4 banks, for any number of chunks a row.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

constexpr int kChunkElements = 8;
constexpr int kChunkBytes = 16;

// The largest power of two, at most 8, that divides `chunks`.
constexpr int swizzle_span(int chunks) { return chunks % 8 == 0 ? 8 : chunks % 4 == 0 ? 4 : chunks % 2 == 0 ? 2 : 1; }

// Byte offset of a chunk. Unpermuted, the start of row r is in bank group (r * kChunks) mod 8. With span s, the largest
// power of two in kChunks, that visits 8/s groups, all multiples of s, and repeats every 8/s rows. Flipping the low
// log2(s) bits of the chunk by the number of the repetition sends each repetition to groups of its own.
// kChunks = 8 (64 elements): chunk ^ row. 4: chunk ^ (row / 2). 10 (head_dim 80): chunk ^ (row / 4). Odd: none needed.
template <int kChunks>
DUET_DEVICE u32 tile_offset(int row, int chunk) {
  constexpr int kSpan = swizzle_span(kChunks);
  const int flip = ((row & 7) / (8 / kSpan)) & (kSpan - 1);
  return static_cast<u32>((row * kChunks + (chunk ^ flip)) * kChunkBytes);
}

// Of a chunk of row row0 + row, where row0 is a multiple of 8: the permutation repeats every 8 rows, so that row0 only
// adds to the offset. Said this way, the compiler works out one address for all row0 that it knows.
template <int kChunks>
DUET_DEVICE u32 tile_offset_from(int row0, int row, int chunk) {
  return static_cast<u32>(row0 * kChunks * kChunkBytes) + tile_offset<kChunks>(row, chunk);
}

// Which chunks of a tile a thread moves: neighbouring threads move neighbouring chunks, so that a row is one contiguous
// read. Where a row's chunks divide the threads, a thread stays in one column, which costs it no division.
template <int kRows, int kChunks, int kThreads>
struct TileShare {
  static constexpr int kCopies = ceil_div(kRows * kChunks, kThreads);
  static constexpr bool kOneColumn = kThreads % kChunks == 0;

  static DUET_DEVICE int row(int thread, int copy) {
    if constexpr (kOneColumn) return thread / kChunks + copy * (kThreads / kChunks);
    return (thread + copy * kThreads) / kChunks;
  }
  static DUET_DEVICE int chunk(int thread, int copy) {
    if constexpr (kOneColumn) return thread % kChunks;
    return (thread + copy * kThreads) % kChunks;
  }
  static DUET_DEVICE bool has(int thread, int copy) {
    if constexpr (kRows * kChunks % kThreads == 0) return true;
    return thread + copy * kThreads < kRows * kChunks;
  }
};

// A row-major matrix of 16-bit elements; what lies outside (rows, columns) reads as zero. `columns` counts elements and
// is effectively rounded up to 8.
struct MatrixView {
  const u16* data;
  int ld;
  int rows;
  int columns;
};

// Starts copying the tile whose first element is (row0, column0). For tiles that follow each other along a row,
// RowTiles below spends far fewer instructions. Bytes from a tile's first element to its last are counted in 32 bits:
// 64 for every copy took a third of the instructions of a step of attention.
template <int kRows, int kChunks, int kThreads>
DUET_DEVICE void load_tile(SmemAddr tile, const MatrixView& matrix, int row0, int column0) {
  using Share = TileShare<kRows, kChunks, kThreads>;
  const int thread = thread_index();
  const int rows = matrix.rows - row0, columns = matrix.columns - column0;
  const i64 first = rows > 0 && columns > 0 ? static_cast<i64>(row0) * matrix.ld + column0 : 0;
  const char* src = reinterpret_cast<const char*>(matrix.data + first);
  const u32 row_bytes = static_cast<u32>(matrix.ld) * 2;
  DUET_UNROLL
  for (int copy = 0; copy < Share::kCopies; ++copy) {
    if (Share::has(thread, copy)) {
      const int row = Share::row(thread, copy);
      const int chunk = Share::chunk(thread, copy);
      const bool valid = row < rows && chunk * kChunkElements < columns;
      const u32 offset = valid ? static_cast<u32>(row) * row_bytes + static_cast<u32>(chunk * kChunkBytes) : 0;
      cp_async<kChunkBytes>(tile + tile_offset<kChunks>(row, chunk), src + offset, valid);
    }
  }
}

// Tiles that follow each other along the same rows: where a thread's rows are is worked out once, so that a copy costs
// an address and itself.
//
// What lies outside the matrix reads as zero. Reading its last row again instead would save instructions, and make
// every block ask one slice of L2 for the same lines (docs/performance.md). Elements of the matrix are counted in 31
// bits.
template <int kRows, int kChunks, int kThreads>
class RowTiles {
  using Share = TileShare<kRows, kChunks, kThreads>;
  static_assert(Share::kOneColumn, "a thread of RowTiles stays in one column of chunks");

 public:
  DUET_DEVICE RowTiles(const MatrixView& matrix, int row0)
      : data_(matrix.data), column_(Share::chunk(thread_index(), 0) * kChunkElements), columns_(matrix.columns) {
    DUET_UNROLL
    for (int copy = 0; copy < Share::kCopies; ++copy) {
      const int row = row0 + Share::row(thread_index(), copy);
      row_offset_[copy] = row < matrix.rows ? row * matrix.ld : -1;
    }
  }

  // Starts copying the tile whose first column is `column0`.
  DUET_DEVICE void load(SmemAddr tile, int column0) const {
    const int column = column0 + column_;
    const bool inside = column < columns_;
    const u16* src = data_ + (inside ? column : 0);
    const int thread = thread_index();
    DUET_UNROLL
    for (int copy = 0; copy < Share::kCopies; ++copy) {
      if (Share::has(thread, copy)) {
        const u32 offset = tile_offset<kChunks>(Share::row(thread, copy), Share::chunk(thread, copy));
        const bool valid = inside && row_offset_[copy] >= 0;
        cp_async<kChunkBytes>(tile + offset, src + (valid ? row_offset_[copy] : 0), valid);
      }
    }
  }

 private:
  const u16* data_;
  int column_;  // of the thread's chunk in a tile
  int columns_;
  int row_offset_[Share::kCopies];  // in elements; negative beyond the last row
};

}  // namespace duet
