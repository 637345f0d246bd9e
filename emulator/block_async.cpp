// What a block does beside its threads' own instructions: tiles that the tensor memory accelerator copies, the barriers
// in shared memory that count them, and warpgroup products.
#include <fmt/format.h>

#include <cstring>

#include "emulator/block.h"
#include "emulator/warp_math.h"

namespace duet::emulator {
namespace {

constexpr std::uint32_t kTileAlignment = 1024, kChunk = 16;
constexpr int kChunkElements = 8;

}  // namespace

// ---- barriers in shared memory

void Block::init_async_barrier(std::uint32_t addr, int arrivals) {
  check(shared_.write(addr, 8, current_warp()), addr);
  if (arrivals < 1) raise(FaultKind::bad_barrier, addr - kSmemBase, fmt::format("made for {} arrivals", arrivals));
  async_barriers_[addr] = {.expected = arrivals};
}

// Reading it finds barriers that nothing orders after their initialisation.
AsyncBarrier& Block::async_barrier(std::uint32_t addr) {
  check(shared_.read(addr, 8, current_warp()), addr);
  const auto found = async_barriers_.find(addr);
  if (found == async_barriers_.end()) raise(FaultKind::bad_barrier, addr - kSmemBase, "it was never initialised");
  return found->second;
}

void Block::arrive_async(std::uint32_t addr, int expected_bytes) {
  AsyncBarrier& barrier = async_barrier(addr);
  if (++barrier.arrived > barrier.expected)
    raise(FaultKind::bad_barrier, addr - kSmemBase,
          fmt::format("more than the {} arrivals of a phase", barrier.expected));
  shared_.release(current_warp(), barrier.collected);
  barrier.pending_bytes += expected_bytes;
  end_phase_if_complete(addr, barrier);
}

void Block::end_phase_if_complete(std::uint32_t addr, AsyncBarrier& barrier) {
  if (!barrier.complete()) return;
  join(barrier.released, barrier.collected);
  barrier.collected = {};
  barrier.arrived = 0;
  ++barrier.phases;
  if (barrier.waiting == 0) return;
  barrier.waiting = 0;
  for (Thread& thread : threads_)
    if (thread.state == State::at_async_barrier && thread.async_barrier == addr) thread.state = State::ready;
}

// Copies land when they are waited for, not before.
void Block::wait_async(std::uint32_t addr, std::uint32_t parity) {
  AsyncBarrier& barrier = async_barrier(addr);
  land_tiles(barrier);
  end_phase_if_complete(addr, barrier);
  if ((barrier.phases & 1) == (parity & 1)) {
    Thread& self = current();
    self.async_barrier = addr;
    self.state = State::at_async_barrier;
    ++barrier.waiting;
    self.fiber.suspend();
  }
  shared_.acquire(current_warp(), barrier.released);
}

// ---- tiles

void Block::load_tile(std::uint32_t destination, const void* map, int row, int column, std::uint32_t addr) {
  AsyncBarrier& barrier = async_barrier(addr);
  TileCopy copy{.destination = destination, .row = row, .column = column, .warp = current_warp()};
  std::memcpy(&copy.matrix, map, sizeof copy.matrix);
  if (destination % kTileAlignment != 0)
    raise(FaultKind::misaligned_shared, destination - kSmemBase, "a tile begins at a multiple of 1024 bytes");
  for (std::uint32_t chunk = destination; chunk < destination + copy.bytes(); chunk += kChunk)
    check(shared_.begin_copy(chunk, kChunk, copy.warp), chunk);
  if (request_.variant.landing == CopyLanding::at_issue) write_tile(copy);
  barrier.copies.push_back(copy);
  if (barrier.waiting == 0) return;
  land_tiles(barrier);
  end_phase_if_complete(addr, barrier);
}

// Zeros where the box reaches beyond the matrix.
void Block::write_tile(const TileCopy& copy) {
  for (std::uint32_t offset = 0; offset < copy.bytes(); offset += kChunk) {
    const int row = copy.row + static_cast<int>(offset / TileCopy::kRowBytes);
    const int column = copy.column + static_cast<int>(offset % TileCopy::kRowBytes / sizeof(std::uint16_t));
    std::uint16_t elements[kChunkElements] = {};
    for (int e = 0; e < kChunkElements; ++e) {
      if (row < copy.matrix.rows && column + e < copy.matrix.columns)
        elements[e] = copy.matrix.data[static_cast<std::ptrdiff_t>(row) * copy.matrix.ld + column + e];
    }
    std::memcpy(shared_.at(permuted_128(copy.destination + offset)), elements, sizeof elements);
  }
}

void Block::land_tiles(AsyncBarrier& barrier) {
  for (const TileCopy& copy : barrier.copies) {
    if (request_.variant.landing == CopyLanding::at_wait) write_tile(copy);
    shared_.land_copy(copy.destination, copy.bytes(), copy.warp);
    shared_.release_landed(copy.warp, barrier.collected);
    barrier.pending_bytes -= copy.bytes();
  }
  barrier.copies.clear();
}

// ---- warpgroup products: each thread computes its own accumulators, at the latest when they are waited for

void Block::issue_wgmma(const WgmmaOperands& operands) { current().products.issue(operands); }

void Block::commit_wgmma() {
  current().products.commit();
  if (request_.variant.landing == CopyLanding::at_issue) wait_wgmma(0);
}

void Block::wait_wgmma(std::size_t pending_groups) {
  current().products.wait(pending_groups, [this](const WgmmaOperands& product) { multiply(product); });
}

const std::byte* Block::operand_chunk(std::uint64_t descriptor, int row, int chunk) {
  const std::uint32_t addr = wgmma_chunk_address(descriptor, row, chunk);
  check(shared_.read(addr, kChunk, current_warp()), addr);
  return shared_.at(addr);
}

void Block::multiply(const WgmmaOperands& product) {
  const int lane = current_index() % kWarpLanes;
  const int first_row = current_warp() % 4 * 16 + lane / 4;
  for (int chunk = 0; chunk < 2; ++chunk) {
    const std::byte* rows[2] = {operand_chunk(product.a, first_row, chunk),
                                operand_chunk(product.a, first_row + 8, chunk)};
    for (int i = 0; i < product.columns / 8 * 2; ++i) {
      const int column = i / 2 * 8 + lane % 4 * 2 + i % 2;
      const std::byte* other = operand_chunk(product.b, column, chunk);
      for (int half = 0; half < 2; ++half)
        product.c[i / 2 * 4 + half * 2 + i % 2] += dot_chunk(product.bf16, rows[half], other);
    }
  }
  multiply_adds_ += static_cast<std::uint64_t>(product.columns) / 4 * 2 * 16;
}

}  // namespace duet::emulator
