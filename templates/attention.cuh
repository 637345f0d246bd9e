// Fused attention; see attention_config.h for what it computes.
//
// A block holds 16 queries a warp and passes over keys and values in steps of block_kv with an online softmax: the
// scores never leave registers, where the accumulator layout of the first product is the operand layout of the second.
// Where queries are too few to keep the tensor cores busy, sets of warps hold the same queries and share the keys of
// every step; the first set then joins the outputs of all.
// K and V arrive by cp.async in groups of their own, so that scores are computed while V is still on its way.
#pragma once

#include "templates/attention_config.h"
#include "templates/common/grid_block.cuh"
#include "templates/common/math.cuh"
#include "templates/common/mma.cuh"

namespace duet {

template <class Config>
struct AttentionShape {
  static constexpr AttentionConfig kConfig = Config::value;
#define DUET_RULE(condition, reason) static_assert(condition, reason);
  DUET_ATTENTION_RULES(kConfig, DUET_RULE)
#undef DUET_RULE

  static constexpr Dtype kDtype = kConfig.op.dtype;
  static constexpr bool kCausal = kConfig.causal();
  static constexpr bool kPadding = kConfig.padding();
  static constexpr int kHeadDim = kConfig.op.head_dim;
  static constexpr int kThreads = kConfig.threads();
  static constexpr int kBlockQ = kConfig.block_q();
  static constexpr int kBlockKv = kConfig.tile.block_kv;
  static constexpr int kWarps = kConfig.tile.warps;
  static constexpr int kSets = kConfig.tile.warps_kv;
  static constexpr int kWarpKv = kConfig.warp_kv();  // keys of a step that one set takes
  static constexpr int kStages = kConfig.tile.stages;
  static constexpr int kChunks = kConfig.padded_head_dim() / kChunkElements;
  static constexpr int kHeadSteps = kConfig.padded_head_dim() / kMmaK;  // k steps of Q K^T
  static constexpr int kHeadTiles = kConfig.padded_head_dim() / kMmaN;  // columns of fragments of the output
  static constexpr int kKeySteps = kWarpKv / kMmaK;                     // k steps of P V
  static constexpr int kKeyTiles = kWarpKv / kMmaN;                     // columns of fragments of the scores
};

struct AttentionPlace {
  int lane;
  int warp_row;  // the warp's first query in the block's tile
  int set;       // the warp's set
  int warp_key;  // the set's first key in a step
  int query0;    // the block's first query
  int head, batch;
  int kv_blocks;  // steps over the keys, without those above the diagonal
};

template <class Shape>
DUET_DEVICE AttentionPlace attention_place(const AttentionParams& params, const GridBlock& block) {
  AttentionPlace place;
  place.lane = thread_index() % 32;
  place.warp_row = thread_index() / 32 % Shape::kWarps * kMmaM;
  place.set = thread_index() / 32 / Shape::kWarps;
  place.warp_key = place.set * Shape::kWarpKv;
  place.query0 = block.x * Shape::kBlockQ;
  place.head = block.y;
  place.batch = block.z;
  int keys = params.keys;
  if (Shape::kCausal && place.query0 + Shape::kBlockQ < keys) keys = place.query0 + Shape::kBlockQ;
  place.kv_blocks = ceil_div(keys, Shape::kBlockKv);
  return place;
}

// Copies of Q, K, V and the mask into shared memory.
template <class Shape>
class AttentionLoader {
 public:
  DUET_DEVICE AttentionLoader(const AttentionParams& params, const AttentionPlace& place, SmemAddr smem)
      : place_(place),
        keys_(params.keys),
        smem_(smem),
        q_(head_view(params.q, params.q_batch_stride, params.ldq, params.queries)),
        k_(head_view(params.k, params.k_batch_stride, params.ldk, params.keys)),
        v_(head_view(params.v, params.v_batch_stride, params.ldv, params.keys)),
        mask_(params.mask + static_cast<i64>(place.batch) * params.keys) {}

  DUET_DEVICE SmemAddr q_tile() const { return smem_; }
  DUET_DEVICE SmemAddr k_tile(int slot) const {
    return smem_ + static_cast<u32>(Shape::kConfig.q_bytes() + slot * Shape::kConfig.stage_bytes());
  }
  DUET_DEVICE SmemAddr v_tile(int slot) const { return k_tile(slot) + static_cast<u32>(Shape::kConfig.kv_bytes()); }
  DUET_DEVICE SmemAddr mask(int slot) const { return v_tile(slot) + static_cast<u32>(Shape::kConfig.kv_bytes()); }

  DUET_DEVICE void load_q() const {
    load_tile<Shape::kBlockQ, Shape::kChunks, Shape::kThreads>(q_tile(), q_, place_.query0, 0);
  }

  // Starts the copies of one step as two groups, K (with the mask) and V; both are empty past the last step.
  DUET_DEVICE void load_step(int block, int slot) const {
    const int key0 = block * Shape::kBlockKv;
    const bool exists = block < place_.kv_blocks;
    if (exists) {
      load_tile<Shape::kBlockKv, Shape::kChunks, Shape::kThreads>(k_tile(slot), k_, key0, 0);
      if constexpr (Shape::kPadding) load_mask(mask(slot), key0);
    }
    cp_async_commit();
    if (exists) load_tile<Shape::kBlockKv, Shape::kChunks, Shape::kThreads>(v_tile(slot), v_, key0, 0);
    cp_async_commit();
  }

 private:
  // A head's columns; the padding to a multiple of 16 lies outside and is filled with zeros.
  DUET_DEVICE MatrixView head_view(const void* tokens, i64 batch_stride, int ld, int rows) const {
    return MatrixView{static_cast<const u16*>(tokens) + place_.batch * batch_stride + place_.head * Shape::kHeadDim, ld,
                      rows, Shape::kHeadDim};
  }

  DUET_DEVICE void load_mask(SmemAddr dst, int key0) const {
    for (int i = thread_index(); i < Shape::kBlockKv; i += Shape::kThreads) {
      const bool valid = key0 + i < keys_;
      cp_async<4>(dst + static_cast<u32>(i * 4), mask_ + (valid ? key0 + i : 0), valid);
    }
  }

  const AttentionPlace& place_;
  int keys_;
  SmemAddr smem_;
  MatrixView q_, k_, v_;
  const int* mask_;
};

// Running maximum and sum of the rows lane / 4 and lane / 4 + 8 of a warp, in units of log2: scores are multiplied by
// scale * log2(e) inside the exponential, which makes it one fma and one ex2 an element.
template <class Shape>
class OnlineSoftmax {
 public:
  DUET_DEVICE explicit OnlineSoftmax(float scale) : scale_(scale * kLog2E) {}

  // Turns scores into weights relative to the new maximum, and rescales the output so far to it.
  DUET_DEVICE void update(float (&scores)[1][Shape::kKeyTiles][4], float (&out)[1][Shape::kHeadTiles][4]) {
    DUET_UNROLL
    for (int half = 0; half < 2; ++half) {
      const float max_before = max_[half];
      max_[half] = max_f32(max_before, row_max(scores, half));
      // Where every key so far is masked the maximum is -inf: subtracting 0 instead keeps -inf - -inf, a NaN, away.
      const float shift = max_[half] == minus_infinity() ? 0.0f : max_[half] * scale_;
      const float correction = exp2_approx(fused_multiply_add(max_before, scale_, -shift));
      sum_[half] *= correction;
      DUET_UNROLL
      for (int j = 0; j < Shape::kHeadTiles; ++j) {
        out[0][j][half * 2] *= correction;
        out[0][j][half * 2 + 1] *= correction;
      }
      DUET_UNROLL
      for (int j = 0; j < Shape::kKeyTiles; ++j) {
        DUET_UNROLL
        for (int e = half * 2; e < half * 2 + 2; ++e) {
          scores[0][j][e] = exp2_approx(fused_multiply_add(scores[0][j][e], scale_, -shift));
          sum_[half] += scores[0][j][e];
        }
      }
    }
  }

  struct Factors {
    float own, other;  // what outputs relative to the maxima before are multiplied by
  };

  // Takes in the maximum and sum of other keys of the same row.
  DUET_DEVICE Factors join(int half, float other_max, float other_sum) {
    const float joint = max_f32(max_[half], other_max);
    const float shift = joint == minus_infinity() ? 0.0f : joint * scale_;
    const Factors factors{exp2_approx(fused_multiply_add(max_[half], scale_, -shift)),
                          exp2_approx(fused_multiply_add(other_max, scale_, -shift))};
    sum_[half] = fused_multiply_add(sum_[half], factors.own, other_sum * factors.other);
    max_[half] = joint;
    return factors;
  }
  DUET_DEVICE Vec16 state() const {
    return Vec16{{float_to_bits(max_[0]), float_to_bits(max_[1]), float_to_bits(sum_[0]), float_to_bits(sum_[1])}};
  }

  // 1 / the row's sum over all its keys; 0 for a row without any.
  DUET_DEVICE float normalizer(int half) const {
    float sum = sum_[half] + shuffle_xor(sum_[half], 1);
    sum += shuffle_xor(sum, 2);
    return sum > 0.0f ? 1.0f / sum : 0.0f;
  }

 private:
  // Four neighbouring lanes hold one row.
  static DUET_DEVICE float row_max(const float (&scores)[1][Shape::kKeyTiles][4], int half) {
    float result = minus_infinity();
    DUET_UNROLL
    for (int j = 0; j < Shape::kKeyTiles; ++j) {
      result = max_f32(result, max_f32(scores[0][j][half * 2], scores[0][j][half * 2 + 1]));
    }
    result = max_f32(result, shuffle_xor(result, 1));
    return max_f32(result, shuffle_xor(result, 2));
  }

  float scale_;
  float max_[2] = {minus_infinity(), minus_infinity()};  // of the scores before scaling
  float sum_[2] = {0.0f, 0.0f};                          // of this lane's columns
};

template <class Shape>
class AttentionWarp {
 public:
  DUET_DEVICE AttentionWarp(const AttentionParams& params, const AttentionPlace& place)
      : params_(params), place_(place), softmax_(params.scale) {
    clear_accumulators(out_);
  }

  DUET_DEVICE void load_queries(SmemAddr q_tile) {
    DUET_UNROLL
    for (int step = 0; step < Shape::kHeadSteps; ++step) {
      u32 fragment[1][4];
      load_a<1, Shape::kChunks>(fragment, q_tile, place_.warp_row, step, place_.lane);
      DUET_UNROLL
      for (int e = 0; e < 4; ++e) q_[step][e] = fragment[0][e];
    }
  }

  // Whether any of the warp's queries may see any of its keys of the step that begins with key0. The same for all
  // lanes.
  DUET_DEVICE bool sees(int key0) const {
    const int first = key0 + place_.warp_key;
    if (Shape::kSets > 1 && first >= params_.keys) return false;
    return !Shape::kCausal || first <= place_.query0 + place_.warp_row + kMmaM - 1;
  }

  // scores = Q K^T of the warp's keys of a step, masked, then the weights of the softmax.
  DUET_DEVICE void score(SmemAddr k_tile, SmemAddr mask, int key0) {
    clear_accumulators(scores_);
    DUET_UNROLL
    for (int step = 0; step < Shape::kHeadSteps; ++step) {
      u32 b[Shape::kKeyTiles][2];  // (warp_kv, 16)
      load_b<Shape::kKeyTiles, Shape::kChunks>(b, k_tile, place_.warp_key, step, place_.lane);
      const u32 a[1][4] = {{q_[step][0], q_[step][1], q_[step][2], q_[step][3]}};  // (16, 16)
      mma_tile<Shape::kDtype>(scores_, a, b);
    }
    apply_mask(mask + static_cast<u32>(place_.warp_key * 4), key0 + place_.warp_key);
    softmax_.update(scores_, out_);
  }

  // out += P V. Two neighbouring accumulator fragments of P are one operand fragment.
  DUET_DEVICE void accumulate(SmemAddr v_tile) {
    DUET_UNROLL
    for (int step = 0; step < Shape::kKeySteps; ++step) {
      const float(&left)[4] = scores_[0][2 * step];
      const float(&right)[4] = scores_[0][2 * step + 1];
      const u32 a[1][4] = {{pack2<Shape::kDtype>(left[0], left[1]), pack2<Shape::kDtype>(left[2], left[3]),
                            pack2<Shape::kDtype>(right[0], right[1]), pack2<Shape::kDtype>(right[2], right[3])}};
      u32 b[Shape::kHeadTiles][2];  // (16, head_dim)
      load_b_transposed<Shape::kHeadTiles, Shape::kChunks>(b, v_tile, 0, place_.set * Shape::kKeySteps + step,
                                                           place_.lane);
      mma_tile<Shape::kDtype>(out_, a, b);
    }
  }

  // Leaves what this warp has summed for the warp of the first set that holds the same queries.
  DUET_DEVICE void leave(SmemAddr exchange) const {
    DUET_UNROLL
    for (int j = 0; j < Shape::kHeadTiles; ++j) {
      Vec16 bits;
      DUET_UNROLL
      for (int e = 0; e < 4; ++e) bits.word[e] = float_to_bits(out_[0][j][e]);
      st_shared_vec16(left_by(exchange, place_.set, j), bits);
    }
    st_shared_vec16(left_by(exchange, place_.set, Shape::kHeadTiles), softmax_.state());
  }

  // Takes in what the warp of another set has left.
  DUET_DEVICE void join(SmemAddr exchange, int set) {
    const Vec16 state = ld_shared_vec16(left_by(exchange, set, Shape::kHeadTiles));
    typename OnlineSoftmax<Shape>::Factors factors[2];
    DUET_UNROLL
    for (int half = 0; half < 2; ++half) {
      factors[half] = softmax_.join(half, bits_to_float(state.word[half]), bits_to_float(state.word[2 + half]));
    }
    DUET_UNROLL
    for (int j = 0; j < Shape::kHeadTiles; ++j) {
      const Vec16 bits = ld_shared_vec16(left_by(exchange, set, j));
      DUET_UNROLL
      for (int e = 0; e < 4; ++e) {
        const float other = bits_to_float(bits.word[e]) * factors[e / 2].other;
        out_[0][j][e] = fused_multiply_add(out_[0][j][e], factors[e / 2].own, other);
      }
    }
  }

  // Writes the warp's rows of the output, through the place of its own queries, which nobody else reads.
  DUET_DEVICE void store(SmemAddr tile) const {
    DUET_UNROLL
    for (int half = 0; half < 2; ++half) {
      const float factor = softmax_.normalizer(half);
      const int row = place_.warp_row + half * 8 + place_.lane / 4;
      DUET_UNROLL
      for (int j = 0; j < Shape::kHeadTiles; ++j) {
        const u32 pair = pack2<Shape::kDtype>(out_[0][j][half * 2] * factor, out_[0][j][half * 2 + 1] * factor);
        st_shared_u32(tile + tile_offset<Shape::kChunks>(row, j) + static_cast<u32>(place_.lane % 4 * 4), pair);
      }
    }
    sync_warp();
    u16* out = static_cast<u16*>(params_.out) + place_.batch * params_.o_batch_stride + place_.head * Shape::kHeadDim;
    constexpr int kHeadChunks = Shape::kHeadDim / kChunkElements;
    for (int i = place_.lane; i < kMmaM * kHeadChunks; i += 32) {
      const int row = place_.warp_row + i / kHeadChunks;
      const int chunk = i % kHeadChunks;
      const int query = place_.query0 + row;
      if (query < params_.queries) {
        st_global_vec16(out + static_cast<i64>(query) * params_.ldo + chunk * kChunkElements,
                        ld_shared_vec16(tile + tile_offset<Shape::kChunks>(row, chunk)));
      }
    }
  }

 private:
  // Neighbouring lanes 16 bytes apart. The first set leaves nothing.
  DUET_DEVICE SmemAddr left_by(SmemAddr exchange, int set, int vector) const {
    const int warp = (set - 1) * Shape::kWarps + place_.warp_row / kMmaM;
    return exchange + static_cast<u32>(((warp * Shape::kConfig.exchange_vectors() + vector) * 32 + place_.lane) * 16);
  }

  // Masked scores become -inf. Only the last step of a sequence, the diagonal and padding masks have any.
  DUET_DEVICE void apply_mask(SmemAddr mask, int key0) {
    const bool ragged = key0 + Shape::kWarpKv > params_.keys;
    const bool diagonal = Shape::kCausal && key0 + Shape::kWarpKv - 1 > place_.query0 + place_.warp_row;
    if (!Shape::kPadding && !ragged && !diagonal) return;
    const int query = place_.query0 + place_.warp_row + place_.lane / 4;
    DUET_UNROLL
    for (int j = 0; j < Shape::kKeyTiles; ++j) {
      DUET_UNROLL
      for (int column = 0; column < 2; ++column) {
        const int key_in_tile = j * kMmaN + place_.lane % 4 * 2 + column;
        const int key = key0 + key_in_tile;
        bool hidden = key >= params_.keys;
        if constexpr (Shape::kPadding) hidden = hidden || ld_shared_u32(mask + static_cast<u32>(key_in_tile * 4)) == 0;
        if (hidden || (Shape::kCausal && key > query)) scores_[0][j][column] = minus_infinity();
        if (hidden || (Shape::kCausal && key > query + 8)) scores_[0][j][column + 2] = minus_infinity();
      }
    }
  }

  const AttentionParams& params_;
  const AttentionPlace& place_;
  OnlineSoftmax<Shape> softmax_;
  u32 q_[Shape::kHeadSteps][4];           // (16, head_dim)
  float scores_[1][Shape::kKeyTiles][4];  // (16, warp_kv)
  float out_[1][Shape::kHeadTiles][4];    // (16, head_dim)
};

// Joins the sets' outputs in the first, in the order of the sets. False in the warps that have nothing left to do.
template <class Shape>
DUET_DEVICE bool join_sets(AttentionWarp<Shape>& warp, const AttentionPlace& place, SmemAddr exchange) {
  if constexpr (Shape::kSets > 1) {
    sync_block<Shape::kThreads>();  // the stages are free
    if (place.set > 0) warp.leave(exchange);
    sync_block<Shape::kThreads>();
    if (place.set > 0) return false;
    DUET_UNROLL
    for (int set = 1; set < Shape::kSets; ++set) warp.join(exchange, set);
  }
  return true;
}

template <class Config>
DUET_DEVICE void attention(const AttentionParams& params, const GridBlock& block = launched_block()) {
  using Shape = AttentionShape<Config>;
  const AttentionPlace place = attention_place<Shape>(params, block);
  const AttentionLoader<Shape> loader(params, place, smem_base());
  wait_for_predecessor();
  release_successor();
  loader.load_q();  // part of the first K's group
  DUET_UNROLL
  for (int step = 0; step < Shape::kStages - 1; ++step) loader.load_step(step, step);

  AttentionWarp<Shape> warp(params, place);
  int slot = 0;
  DUET_NO_UNROLL
  for (int step = 0; step < place.kv_blocks; ++step) {
    const int key0 = step * Shape::kBlockKv;
    // Stages - 1 steps of two groups are in flight: all but this step's K may stay so.
    cp_async_wait<2 * (Shape::kStages - 1) - 1>();
    sync_block<Config::value.threads()>();  // K is readable, and the slot of the step before is free
    loader.load_step(step + Shape::kStages - 1, slot > 0 ? slot - 1 : Shape::kStages - 1);
    if (step == 0) warp.load_queries(loader.q_tile());
    if (warp.sees(key0)) warp.score(loader.k_tile(slot), loader.mask(slot), key0);

    cp_async_wait<2 * (Shape::kStages - 1)>();  // one step more in flight, all but this step's V
    sync_block<Config::value.threads()>();
    if (warp.sees(key0)) warp.accumulate(loader.v_tile(slot));
    slot = slot + 1 < Shape::kStages ? slot + 1 : 0;
  }
  if (join_sets<Shape>(warp, place, loader.k_tile(0))) warp.store(loader.q_tile());
}

}  // namespace duet
