// The C functions that kernels call (emulator/intrinsics_host.h), passed on to the block whose thread runs.
#include "emulator/block.h"
#include "emulator/intrinsics_host.h"

using duet::emulator::current_block;
using duet::emulator::FaultKind;

DuetEmulatorThread duet_emulator_thread = {};

void duet_emulator_shared_load(unsigned addr, unsigned bytes, void* destination) {
  current_block->shared_load(addr, bytes, destination);
}
void duet_emulator_shared_store(unsigned addr, unsigned bytes, const void* source) {
  current_block->shared_store(addr, bytes, source);
}
void duet_emulator_copy_issue(unsigned addr, const void* source, unsigned bytes, int valid) {
  current_block->issue_copy({.destination = addr, .bytes = bytes, .source = valid != 0 ? source : nullptr});
}
void duet_emulator_copy_commit() { current_block->commit_copies(); }
void duet_emulator_copy_wait(unsigned pending_groups) { current_block->wait_copies(pending_groups); }
void duet_emulator_ldmatrix(unsigned* registers, unsigned row, int transposed) {
  current_block->ldmatrix(registers, row, transposed != 0);
}
void duet_emulator_barrier(int id, int threads) { current_block->barrier(id, threads); }
void duet_emulator_sync_warp() { current_block->sync_warp(); }
unsigned duet_emulator_shuffle(unsigned value, int lane) { return current_block->shuffle(value, lane); }
void duet_emulator_mma(int dtype, int tiles_m, int tiles_n, float* c, const unsigned* a, const unsigned* b) {
  current_block->mma(dtype == static_cast<int>(duet::Dtype::bf16), tiles_m, tiles_n, {.c = c, .a = a, .b = b});
}
void duet_emulator_counter_wait(const unsigned* counter, unsigned at_least) {
  current_block->wait_counter(counter, at_least);
}
void duet_emulator_mbarrier_init(unsigned barrier, int arrivals) {
  current_block->init_async_barrier(barrier, arrivals);
}
void duet_emulator_mbarrier_arrive(unsigned barrier, int expected_bytes) {
  current_block->arrive_async(barrier, expected_bytes);
}
void duet_emulator_mbarrier_wait(unsigned barrier, unsigned parity) { current_block->wait_async(barrier, parity); }
void duet_emulator_tile_load(unsigned destination, const void* map, int row, int column, unsigned barrier) {
  current_block->load_tile(destination, map, row, column, barrier);
}
void duet_emulator_wgmma(int dtype, int columns, float* c, unsigned long long a, unsigned long long b) {
  current_block->issue_wgmma(
      {.bf16 = dtype == static_cast<int>(duet::Dtype::bf16), .columns = columns, .c = c, .a = a, .b = b});
}
void duet_emulator_wgmma_commit() { current_block->commit_wgmma(); }
void duet_emulator_wgmma_wait(unsigned pending_groups) { current_block->wait_wgmma(pending_groups); }
void duet_emulator_global_misaligned(const void* address, unsigned bytes) {
  current_block->raise(FaultKind::misaligned_global, reinterpret_cast<std::uintptr_t>(address),
                       "an access of " + std::to_string(bytes) + " bytes");
}
