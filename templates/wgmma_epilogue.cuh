// The epilogue of warpgroup products that are not transposed: as GemmEpilogue, but C leaves through shared memory,
// where stmatrix puts what a quad of lanes would have to exchange, and in rows of up to 64 columns.
#pragma once

#include "templates/device/wgmma.cuh"
#include "templates/epilogue.cuh"

#ifdef DUET_HAS_WGMMA

namespace duet {

template <class Shape>
class WgmmaEpilogue : public GemmEpilogue<Shape> {
  using Base = GemmEpilogue<Shape>;
  using Group = TileGroup<Shape>;
  static_assert(Shape::kM == 1, "a warp has 16 rows");
  using Base::place_;

  // What a group's elements are made of beside their sums, from shared memory.
  struct Operands {
    typename Base::Columns columns;
    Vec16 residual;
  };

 public:
  // The rows' norms, and a group's operands a group ahead: an access to shared memory is not moved across another, so
  // that what waits for it would stand between the groups' arithmetic.
  template <class SumsOf>
  struct Terms {
    DUET_DEVICE Terms(const GemmParams& params, const GemmPlace& place, const SumsOf& sums_of, SmemAddr smem)
        : norms(params, place, sums_of, smem) {}
    RowNorms<Shape, SumsOf> norms;
    Operands next;
  };

  DUET_DEVICE WgmmaEpilogue(const GemmParams& params, const GemmPlace& place, SmemAddr smem)
      : Base(params, place, smem),
        boxes_(smem + static_cast<u32>(Shape::kConfig.chunks_offset() + thread_index() / 32 * kBoxBytes)) {}

  // The residual is written by an earlier kernel.
  DUET_DEVICE void prefetch_residual() const {
    if constexpr (Shape::kOp.residual) {
      Base::with_residual_rows([this](auto residual_row) {
        for_each_part([&](int box, int part) {
          EpilogueOperands<Shape>::copy_residual(chunk(box, part), chunk_row(part), chunk_column(box), has_chunk(box),
                                                 residual_row);
        });
      });
    }
  }

  // Puts C of a group, from its sums, into its box, and writes a part of the box before to memory: what waits for
  // shared memory there waits beside this group's arithmetic. By all lanes, group by group.
  template <class SumsOf>
  DUET_DEVICE void finish(const Group& group, const Float8& x, Terms<SumsOf>& terms,
                          WrittenRowSums<Shape>& row_sums) const {
    const int box = group.slot / kGroups, part = group.slot % kGroups;
    if (box > 0 && part == 0) sync_warp();
    const Vec16 earlier = box > 0 ? ld_shared_vec16(chunk(box - 1, part)) : Vec16{};
    const Operands own = group.slot == 0 ? operands_of(group) : terms.next;
    if (exists<Shape>(place_, group.slot + 1)) terms.next = operands_of(group_of<Shape>(place_, group.slot + 1));
    const Vec16 words = Base::elements(group, x, own.columns, terms.norms, row_sums, [&] { return own.residual; });
    stmatrix_x4(matrix_row(group), words.word);
    if (box > 0) write(box - 1, part, earlier);
  }

  // Writes what is left. By all lanes, after the last group.
  DUET_DEVICE void finish_last(const WrittenRowSums<Shape>&) const {
    sync_warp();
    for_each_part([&](int box, int part) {
      if (!exists<Shape>(place_, (box + 1) * kGroups + part)) write(box, part, ld_shared_vec16(chunk(box, part)));
    });
  }

 private:
  // A box is a warp's 16 rows of four groups, of 16 columns each; a part of it four rows, a chunk a lane.
  static constexpr int kGroups = 4, kParts = 4, kRowChunks = 2 * kGroups;
  static constexpr int kRowBytes = kRowChunks * kChunkBytes, kBoxBytes = kMmaM * kRowBytes;
  static constexpr int kBoxes = ceil_div(Group::kSlots, kGroups);
  static_assert(kBoxes * kGroups == Shape::kConfig.chunk_groups(), "the host counts the same chunks");

  DUET_DEVICE Operands operands_of(const Group& group) const {
    Operands operands{Base::columns_of(group), {}};
    if constexpr (Shape::kOp.residual) ldmatrix_x4(operands.residual.word, matrix_row(group));
    return operands;
  }

  template <class Use>
  static DUET_DEVICE void for_each_part(Use use) {
    DUET_UNROLL
    for (int box = 0; box < kBoxes; ++box) {
      DUET_UNROLL
      for (int part = 0; part < kParts; ++part) use(box, part);
    }
  }

  // Chunks are permuted, so that eight rows of one lie in different banks.
  DUET_DEVICE SmemAddr place_in(int box, int row, int chunk) const {
    return boxes_ + static_cast<u32>(box * (Shape::kThreads / 32) * kBoxBytes + row * kRowBytes +
                                     (chunk ^ (row % 8)) * kChunkBytes);
  }
  // A lane's row of the four matrices of 8x8 elements of a group: (rows 0-7, columns 0-7), (rows 0-7, columns 8-15),
  // and the same for rows 8-15.
  DUET_DEVICE SmemAddr matrix_row(const Group& group) const {
    return place_in(group.slot / kGroups, place_.lane / 16 * 8 + place_.lane % 8,
                    group.slot % kGroups * 2 + place_.lane / 8 % 2);
  }

  // A lane's chunk of a part on its way to or from memory, and where that is.
  DUET_DEVICE SmemAddr chunk(int box, int part) const {
    return place_in(box, part * 4 + place_.lane / kRowChunks, place_.lane % kRowChunks);
  }
  DUET_DEVICE int chunk_slot(int box) const { return box * kGroups + place_.lane % kRowChunks / 2; }
  DUET_DEVICE bool has_chunk(int box) const { return exists<Shape>(place_, chunk_slot(box)); }
  DUET_DEVICE int chunk_row(int part) const {
    return place_.row0 + place_.warp_row + part * 4 + place_.lane / kRowChunks;
  }
  DUET_DEVICE int chunk_column(int box) const {
    return place_.column0 + place_.warp_column +
           group_of<Shape>(place_, chunk_slot(box)).j(place_.lane % 2) * kChunkElements;
  }

  DUET_DEVICE void write(int box, int part, Vec16 elements) const {
    Base::store(elements, chunk_row(part), chunk_column(box), has_chunk(box));
  }

  SmemAddr boxes_;
};

}  // namespace duet

#endif
