// Fused attention; see attention_config.h for what it computes.
//
// A block holds 16 queries a warp and passes over keys and values in steps of block_kv with an online softmax: the
// scores never leave registers, where the accumulator layout of the first product is the operand layout of the second.
// Where queries are too few to keep the tensor cores busy, sets of warps hold the same queries and share the keys of
// every step; the first set then joins the outputs of all.
// K arrives a step ahead of V by cp.async: the first scores are computed while V is still on its way, and each step's
// while the softmax of the step before is.
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
  static constexpr bool kScoresAhead = kConfig.scores_ahead();
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
  // Of one set the compiler would not know that its number is 0, and work out the place of every ldmatrix by itself.
  const int warp = thread_index() / 32;
  place.set = Shape::kSets > 1 ? warp / Shape::kWarps : 0;
  place.warp_row = (Shape::kSets > 1 ? warp % Shape::kWarps : warp) * kMmaM;
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

  // Starts the copies of a step's K, or of its V and mask; none past the last step.
  DUET_DEVICE void load_k(int step, int slot) const {
    if (step >= place_.kv_blocks) return;
    load_tile<Shape::kBlockKv, Shape::kChunks, Shape::kThreads>(k_tile(slot), k_, step * Shape::kBlockKv, 0);
  }
  DUET_DEVICE void load_v(int step, int slot) const {
    if (step >= place_.kv_blocks) return;
    load_tile<Shape::kBlockKv, Shape::kChunks, Shape::kThreads>(v_tile(slot), v_, step * Shape::kBlockKv, 0);
    if constexpr (Shape::kPadding) load_mask(mask(slot), step * Shape::kBlockKv);
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
  using Scores = float[1][Shape::kKeyTiles][4];  // (16, warp_kv)

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

  // The last block of a head may have warps beyond its queries.
  DUET_DEVICE bool has_queries() const { return place_.query0 + place_.warp_row < params_.queries; }

  // Whether any of the warp's queries may see any of its keys of the step that begins with key0. The same for all
  // lanes.
  DUET_DEVICE bool sees(int key0) const {
    const int first = key0 + place_.warp_key;
    if (Shape::kSets > 1 && first >= params_.keys) return false;
    return !Shape::kCausal || first <= place_.query0 + place_.warp_row + kMmaM - 1;
  }

  // scores = Q K^T of the warp's keys of a step.
  DUET_DEVICE void score(Scores& scores, SmemAddr k_tile) const {
    clear_accumulators(scores);
    DUET_UNROLL
    for (int step = 0; step < Shape::kHeadSteps; ++step) {
      u32 b[Shape::kKeyTiles][2];  // (warp_kv, 16)
      load_b<Shape::kKeyTiles, Shape::kChunks>(b, k_tile, place_.warp_key, step, place_.lane);
      const u32 a[1][4] = {{q_[step][0], q_[step][1], q_[step][2], q_[step][3]}};  // (16, 16)
      mma_tile<Shape::kDtype>(scores, a, b);
    }
  }

  // Turns a step's scores into weights of the softmax. `last`: no step follows.
  DUET_DEVICE void weigh(Scores& scores, SmemAddr mask, int key0, bool last) {
    if (Shape::kPadding || Shape::kCausal || last) {
      apply_mask(scores, mask + static_cast<u32>(place_.warp_key * 4), key0 + place_.warp_key);
    }
    softmax_.update(scores, out_);
  }

  // out += P V. Two neighbouring accumulator fragments of P are one operand fragment.
  DUET_DEVICE void accumulate(const Scores& weights, SmemAddr v_tile) {
    DUET_UNROLL
    for (int step = 0; step < Shape::kKeySteps; ++step) {
      const float(&left)[4] = weights[0][2 * step];
      const float(&right)[4] = weights[0][2 * step + 1];
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
    DUET_UNROLL
    for (int i = 0; i < ceil_div(kMmaM * kHeadChunks, 32); ++i) {
      const int vector = i * 32 + place_.lane;
      const int row = place_.warp_row + vector / kHeadChunks;
      const int chunk = vector % kHeadChunks;
      const bool valid = vector < kMmaM * kHeadChunks && place_.query0 + row < params_.queries;
      const Vec16 values = ld_shared_vec16(tile + tile_offset<Shape::kChunks>(valid ? row : place_.warp_row, chunk));
      u16* row_out = out + static_cast<i64>(place_.query0 + row) * params_.ldo;
      st_global_vec16_if(valid, row_out + chunk * kChunkElements, values);
    }
  }

 private:
  // Neighbouring lanes 16 bytes apart. The first set leaves nothing.
  DUET_DEVICE SmemAddr left_by(SmemAddr exchange, int set, int vector) const {
    const int warp = (set - 1) * Shape::kWarps + place_.warp_row / kMmaM;
    return exchange + static_cast<u32>(((warp * Shape::kConfig.exchange_vectors() + vector) * 32 + place_.lane) * 16);
  }

  // Masked scores become -inf. Only the last step of a sequence, the diagonal and padding masks have any.
  DUET_DEVICE void apply_mask(Scores& scores, SmemAddr mask, int key0) const {
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
        if (hidden || (Shape::kCausal && key > query)) scores[0][j][column] = minus_infinity();
        if (hidden || (Shape::kCausal && key > query + 8)) scores[0][j][column + 2] = minus_infinity();
      }
    }
  }

  const AttentionParams& params_;
  const AttentionPlace& place_;
  OnlineSoftmax<Shape> softmax_;
  u32 q_[Shape::kHeadSteps][4];         // (16, head_dim)
  float out_[1][Shape::kHeadTiles][4];  // (16, head_dim)
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

// Passes over the keys. K and V of a step lie in the slot of its number modulo the stages; a slot's K is free once the
// step's scores are computed, its V once they have weighed it.
template <class Shape>
class AttentionPass {
 public:
  DUET_DEVICE AttentionPass(const AttentionLoader<Shape>& loader, const AttentionPlace& place,
                            AttentionWarp<Shape>& warp)
      : loader_(loader), place_(place), warp_(warp) {}

  // Q with the first K, then as many steps as there are stages, each K with the V of the step before.
  DUET_DEVICE void begin() {
    loader_.load_q();
    loader_.load_k(0, 0);
    cp_async_commit();
    DUET_UNROLL
    for (int step = 0; step < Shape::kStages - 1; ++step) {
      loader_.load_k(step + 1, step + 1);
      loader_.load_v(step, step);
      cp_async_commit();
    }
  }

  DUET_DEVICE void run() {
    Scores scores;
    cp_async_wait<Shape::kStages - 1>();
    sync_block<Shape::kThreads>();
    warp_.load_queries(loader_.q_tile());
    if (warp_.sees(0)) warp_.score(scores, loader_.k_tile(0));
    if constexpr (Shape::kScoresAhead) {
      pass_ahead(scores);
    } else {
      DUET_NO_UNROLL
      while (step_ + 1 < place_.kv_blocks) advance(scores, scores);
    }
    await_step();
    add(scores, true);
  }

  // By a warp without queries: its part of the copies, and the barriers that the others wait at. A loop of its own,
  // since a condition in run() would keep the compiler from mixing a step's products with the softmax of the one
  // before.
  DUET_DEVICE void idle() {
    cp_async_wait<Shape::kStages - 1>();
    sync_block<Shape::kThreads>();
    DUET_NO_UNROLL
    while (step_ + 1 < place_.kv_blocks) {
      begin_step();
      end_step();
    }
    await_step();
  }

 private:
  using Scores = typename AttentionWarp<Shape>::Scores;

  // The V of a step and the K of the next are readable, and what the step before read is free.
  DUET_DEVICE void await_step() const {
    cp_async_wait<Shape::kStages - 2>();
    sync_block<Shape::kThreads>();
  }

  // All steps but the last. Two a turn: the scores then need not be copied from one array to the other.
  DUET_DEVICE void pass_ahead(Scores& scores) {
    Scores next_scores;
    DUET_NO_UNROLL
    while (step_ + 1 < place_.kv_blocks) {
      advance(scores, next_scores);
      if (step_ + 1 >= place_.kv_blocks) return copy(next_scores, scores);
      advance(next_scores, scores);
    }
  }

  // Takes in a step, whose scores are known, and leaves those of the next: in the same place, where they are not ahead.
  DUET_DEVICE void advance(Scores& scores, Scores& next_scores) {
    const int next_slot = slot_after();
    begin_step();
    const bool sees_next = !Shape::kCausal || warp_.sees((step_ + 1) * Shape::kBlockKv);
    if (Shape::kScoresAhead && sees_next) warp_.score(next_scores, loader_.k_tile(next_slot));
    add(scores, false);
    if (!Shape::kScoresAhead && sees_next) warp_.score(next_scores, loader_.k_tile(next_slot));
    end_step();
  }

  // Waits for a step's V and the next one's K, and starts the copies into the places of the step before.
  DUET_DEVICE void begin_step() const {
    await_step();
    loader_.load_k(step_ + Shape::kStages, slot_);
    loader_.load_v(step_ + Shape::kStages - 1, slot_ > 0 ? slot_ - 1 : Shape::kStages - 1);
    cp_async_commit();
  }
  DUET_DEVICE void end_step() {
    slot_ = slot_after();
    ++step_;
  }
  DUET_DEVICE int slot_after() const { return slot_ + 1 < Shape::kStages ? slot_ + 1 : 0; }

  DUET_DEVICE void add(Scores& scores, bool last) {
    const int key0 = step_ * Shape::kBlockKv;
    if ((Shape::kCausal || last) && !warp_.sees(key0)) return;
    warp_.weigh(scores, loader_.mask(slot_), key0, last);
    warp_.accumulate(scores, loader_.v_tile(slot_));
  }

  static DUET_DEVICE void copy(const Scores& from, Scores& to) {
    DUET_UNROLL
    for (int j = 0; j < Shape::kKeyTiles; ++j) {
      DUET_UNROLL
      for (int e = 0; e < 4; ++e) to[0][j][e] = from[0][j][e];
    }
  }

  const AttentionLoader<Shape>& loader_;
  const AttentionPlace& place_;
  AttentionWarp<Shape>& warp_;
  int step_ = 0, slot_ = 0;
};

template <class Config>
DUET_DEVICE void attention(const AttentionParams& params, const GridBlock& block = launched_block()) {
  using Shape = AttentionShape<Config>;
  const AttentionPlace place = attention_place<Shape>(params, block);
  const AttentionLoader<Shape> loader(params, place, smem_base());
  AttentionWarp<Shape> warp(params, place);
  AttentionPass<Shape> pass(loader, place, warp);
  wait_for_predecessor();
  release_successor();
  pass.begin();
  if (warp.has_queries()) {
    pass.run();
  } else {
    pass.idle();
  }
  if (join_sets<Shape>(warp, place, loader.k_tile(0)) && warp.has_queries()) warp.store(loader.q_tile());
}

}  // namespace duet
