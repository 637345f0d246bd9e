// Which block of which grid runs: the launch's own, or a kernel's share of a launch that runs two (templates/pair.cuh).
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

struct GridBlock {
  int x, y, z;                 // the block's place
  int grid_x, grid_y, grid_z;  // in a grid of this size

  DUET_DEVICE int index() const { return (z * grid_y + y) * grid_x + x; }  // in the order blocks start in
  DUET_DEVICE int count() const { return grid_x * grid_y * grid_z; }
};

DUET_DEVICE GridBlock launched_block() {
  return GridBlock{block_index_x(), block_index_y(), block_index_z(), grid_size_x(), grid_size_y(), grid_size_z()};
}

}  // namespace duet
