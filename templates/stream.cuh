// Reads memory: see stream_config.h.
//
// A paced block waits until its next chunk is due. Blocks begin spread over one period, so that together they draw a
// steady stream and not bursts.
#pragma once

#include "templates/common/vec.cuh"
#include "templates/stream_config.h"

namespace duet {

// One chunk; whether a word of it is not zero.
template <class Config>
DUET_DEVICE u32 read_chunk(const void* data, u64 chunk) {
  constexpr StreamConfig kConfig = Config::value;
  constexpr int kVectors = kConfig.tile.vectors_per_thread;
  const char* src = static_cast<const char*>(data) + chunk * static_cast<u64>(kConfig.chunk_bytes());
  Vec16 vectors[kVectors];
  DUET_UNROLL
  for (int i = 0; i < kVectors; ++i)
    vectors[i] = ld_global_vec16(src + (i * kConfig.tile.threads + thread_index()) * 16);
  u32 words = 0;
  DUET_UNROLL
  for (int i = 0; i < kVectors; ++i) {
    DUET_UNROLL
    for (int w = 0; w < 4; ++w) words |= vectors[i].word[w];
  }
  return words;
}

template <class Config>
DUET_DEVICE void stream_once(const StreamParams& params) {
  const u64 block = static_cast<u64>(block_index_x()), blocks = static_cast<u64>(grid_size_x());
  u32 words = 0;
  u64 chunk = block % params.chunks;
  DUET_NO_UNROLL
  for (u64 i = 0; i < params.most_chunks; ++i) {
    words |= read_chunk<Config>(params.data, chunk);
    chunk = (chunk + blocks) % params.chunks;
  }
  if (words != 0) counter_add(params.found, 1);
}

template <class Config>
DUET_DEVICE void stream_until_stopped(const StreamParams& params) {
  const u64 block = static_cast<u64>(block_index_x()), blocks = static_cast<u64>(grid_size_x());
  const u64 begin = clock_cycles();
  u64 due = begin + params.period_cycles * block / blocks;
  if (thread_index() == 0) counter_add(params.started, 1);
  u32 words = 0;
  u64 chunk = block % params.chunks;
  DUET_NO_UNROLL
  for (u32 i = 0;; ++i) {
    if (i % params.chunks_a_look == 0 && counter_load(params.stop) != 0) break;
    u64 now = clock_cycles();
    while (now < due) {
      pause_ns(200);
      now = clock_cycles();
    }
    if (now - begin > params.limit_cycles) {
      if (thread_index() == 0) counter_add(params.expired, 1);
      break;
    }
    due = due + params.period_cycles > now ? due + params.period_cycles : now;
    words |= read_chunk<Config>(params.data, chunk);
    chunk = (chunk + blocks) % params.chunks;
  }
  if (words != 0) counter_add(params.found, 1);
}

template <class Config>
DUET_DEVICE void stream(const StreamParams& params) {
  constexpr StreamConfig kConfig = Config::value;
  static_assert(stream_infeasible(kConfig) == nullptr, "infeasible StreamConfig");
  if (params.stop != nullptr) {
    stream_until_stopped<Config>(params);
  } else {
    stream_once<Config>(params);
  }
}

}  // namespace duet
