// The stream family: reads memory and does nothing else, once to see how much arrives, or until told to stop, to leave
// less of it for others.
//
// Memory is read in chunks (chunk_bytes); block b of n reads the chunks b, b + n, ... and begins again at the end.
#pragma once

#include "templates/device/types.h"

namespace duet {

struct StreamOp {};

struct StreamTile {
  int threads = 512;
  int vectors_per_thread = 4;  // of 16 bytes, in flight at once
};

struct StreamConfig {
  StreamOp op;
  StreamTile tile;

  constexpr int threads() const { return tile.threads; }
  constexpr int smem_bytes() const { return 0; }
  constexpr int chunk_bytes() const { return tile.threads * tile.vectors_per_thread * 16; }
};

// Why a configuration cannot be built, or nullptr.
constexpr const char* stream_infeasible(const StreamConfig& config) {
  const int threads = config.tile.threads;
  if (threads < 32 || threads > 1024 || threads % 32 != 0) return "threads must be whole warps, to 1024";
  if (config.tile.vectors_per_thread < 1 || config.tile.vectors_per_thread > 16) return "1 to 16 vectors a thread";
  return nullptr;
}

struct StreamParams {
  const void* data;   // zeros
  u32* found;         // counts words that are not zero: none, but no load can be left out
  const u32* stop;    // ends every block when it is not 0; null: blocks end by themselves
  u32* started;       // with `stop`: counts blocks that run
  u32* expired;       // with `stop`: counts blocks that ended by `limit_cycles`
  u64 chunks;         // in data
  u64 most_chunks;    // that a block reads without `stop`
  u64 limit_cycles;   // with `stop`: after which a block ends in any case
  u32 period_cycles;  // with `stop`: from one chunk of a block to its next, at least
  u32 chunks_a_look;  // with `stop`: that a block reads between two looks at it, at least 1
};

}  // namespace duet
