// Runs two kernels in one launch, each on its own blocks: see pair_config.h.
#pragma once

#include "templates/common/grid_block.cuh"
#include "templates/pair_config.h"

namespace duet {

// The block of that index, counted as GridBlock::index() does.
DUET_DEVICE GridBlock block_of_grid(const Grid3& grid, int index) {
  const int row = index / grid.x;
  return GridBlock{index - row * grid.x, row % grid.y, row / grid.y, grid.x, grid.y, grid.z};
}

// `first` and `second` run a block of their kernel, given its place. Threads beyond those that a kernel was made for
// leave at once: its barriers count without them.
template <class First, class Second, class RunFirst, class RunSecond>
DUET_DEVICE void run_pair(const PairParams<First, Second>& params, int first_threads, RunFirst run_first,
                          int second_threads, RunSecond run_second) {
  static_assert(sizeof(PairParams<First, Second>) == pair_bytes(sizeof(First), sizeof(Second)), "layout of PairParams");
  const int first_blocks = params.first_grid.x * params.first_grid.y * params.first_grid.z;
  const int index = block_index_x();
  if (index < first_blocks) {
    if (thread_index() < first_threads) run_first(block_of_grid(params.first_grid, index));
  } else {
    if (thread_index() < second_threads) run_second(block_of_grid(params.second_grid, index - first_blocks));
  }
}

}  // namespace duet
