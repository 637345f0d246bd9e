#include "emulator/shared_memory.h"

#include <algorithm>
#include <bit>

namespace duet::emulator {

void join(Knowledge& knowledge, const Knowledge& other) {
  for (std::size_t warp = 0; warp < knowledge.size(); ++warp) knowledge[warp] = std::max(knowledge[warp], other[warp]);
}

void SharedMemory::reset(std::uint32_t bytes, int warps, PoisonPattern poison) {
  size_ = bytes;
  time_ = 1;
  bytes_.resize((bytes + 15) / 16 * 16);
  std::fill(bytes_.begin(), bytes_.end(), poison_byte(poison));
  cells_.assign(bytes_.size() / 4, Cell{});
  std::fill_n(known_.begin(), warps, Knowledge{});
}

inline FaultKind SharedMemory::check_range(std::uint32_t addr, std::uint32_t bytes) const {
  const std::uint32_t offset = addr - kSmemBase;  // wraps below the base, and is then out of bounds
  if (offset > size_ || size_ - offset < bytes) return FaultKind::out_of_bounds_shared;
  if (addr % bytes != 0) return FaultKind::misaligned_shared;
  return FaultKind::none;
}

std::uint32_t SharedMemory::unordered_readers(const Cell& cell, int warp) const {
  std::uint32_t unordered = 0;
  for (std::uint32_t rest = cell.readers & ~(1u << warp); rest != 0; rest &= rest - 1) {
    const int reader = std::countr_zero(rest);
    if (!ordered(reader, cell.read_time, warp)) unordered |= 1u << reader;
  }
  return unordered;
}

inline FaultKind SharedMemory::read_cell(Cell& cell, int warp) {
  if (cell.content == Content::unwritten) return FaultKind::read_unwritten;
  if (cell.content == Content::in_flight) return FaultKind::read_in_flight;
  if (!ordered(cell.writer, cell.write_time, warp)) {
    conflicting_warp_ = cell.writer;
    return FaultKind::race_read_after_write;
  }
  const std::uint32_t self = 1u << warp;
  if (cell.readers != 0 && cell.read_time == time_) {
    cell.readers |= self;
    return FaultKind::none;
  }
  const std::uint32_t others = unordered_readers(cell, warp);
  if (others == 0) cell.read_time = time_;
  cell.readers = others | self;
  return FaultKind::none;
}

inline FaultKind SharedMemory::write_cell(Cell& cell, int warp, Content content) {
  if (cell.content == Content::in_flight) {
    conflicting_warp_ = cell.writer;
    return FaultKind::write_in_flight;
  }
  if (const std::uint32_t readers = unordered_readers(cell, warp); readers != 0) {
    conflicting_warp_ = std::countr_zero(readers);
    return FaultKind::race_write_after_read;
  }
  if (cell.content == Content::written && !ordered(cell.writer, cell.write_time, warp)) {
    conflicting_warp_ = cell.writer;
    return FaultKind::race_write_after_write;
  }
  cell = Cell{
      .write_time = time_, .read_time = 0, .readers = 0, .writer = static_cast<std::uint8_t>(warp), .content = content};
  return FaultKind::none;
}

FaultKind SharedMemory::read(std::uint32_t addr, std::uint32_t bytes, int warp) {
  if (const FaultKind fault = check_range(addr, bytes); fault != FaultKind::none) return fault;
  Cell* cells = cells_at(addr);
  for (std::uint32_t i = 0; i < bytes / 4; ++i) {
    if (const FaultKind fault = read_cell(cells[i], warp); fault != FaultKind::none) return fault;
  }
  return FaultKind::none;
}

FaultKind SharedMemory::write_range(std::uint32_t addr, std::uint32_t bytes, int warp, Content content) {
  if (const FaultKind fault = check_range(addr, bytes); fault != FaultKind::none) return fault;
  Cell* cells = cells_at(addr);
  for (std::uint32_t i = 0; i < bytes / 4; ++i) {
    if (const FaultKind fault = write_cell(cells[i], warp, content); fault != FaultKind::none) return fault;
  }
  return FaultKind::none;
}

FaultKind SharedMemory::write(std::uint32_t addr, std::uint32_t bytes, int warp) {
  return write_range(addr, bytes, warp, Content::written);
}

FaultKind SharedMemory::begin_copy(std::uint32_t addr, std::uint32_t bytes, int warp) {
  return write_range(addr, bytes, warp, Content::in_flight);
}

void SharedMemory::land_copy(std::uint32_t addr, std::uint32_t bytes, int warp) {
  Cell* cells = cells_at(addr);
  for (std::uint32_t i = 0; i < bytes / 4; ++i) {
    cells[i].content = Content::written;
    cells[i].writer = static_cast<std::uint8_t>(warp);
    cells[i].write_time = time_;  // until now the copy could still be writing
  }
}

void SharedMemory::barrier(std::uint32_t warp_mask) {
  Knowledge joined{};
  for (std::uint32_t rest = warp_mask; rest != 0; rest &= rest - 1) {
    const auto warp = static_cast<std::size_t>(std::countr_zero(rest));
    join(joined, known_[warp]);
    joined[warp] = time_;
  }
  for (std::uint32_t rest = warp_mask; rest != 0; rest &= rest - 1) {
    known_[static_cast<std::size_t>(std::countr_zero(rest))] = joined;
  }
  ++time_;
}

void SharedMemory::release(int warp, Knowledge& knowledge) {
  join(knowledge, known_[static_cast<std::size_t>(warp)]);
  release_landed(warp, knowledge);
}

void SharedMemory::release_landed(int warp, Knowledge& knowledge) {
  knowledge[static_cast<std::size_t>(warp)] = time_;
  ++time_;  // what the warp does from now on is later
}

void SharedMemory::acquire(int warp, const Knowledge& knowledge) {
  join(known_[static_cast<std::size_t>(warp)], knowledge);
}

}  // namespace duet::emulator
