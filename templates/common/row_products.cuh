// Sums and sums of squares of 16 rows by three tensor-core products of a fragment instead of 48 instructions of a warp.
// Rows times ones are their sums. Rows times themselves have the sums of squares on their diagonal: eight rows of a
// fragment of A are, as they stand in its registers, the fragment of B whose columns they are.
#pragma once

#include "templates/common/mma.cuh"
#include "templates/common/row_sums.cuh"

namespace duet {

template <Dtype kDtype>
class RowProducts {
 public:
  DUET_DEVICE RowProducts() {
    clear_accumulators(sums_);
    clear_accumulators(squares_);
  }

  // Of 16 columns, as ldmatrix_x4 has them: (rows 0-7, columns 0-7), (rows 8-15, columns 0-7), and the same for 8-15.
  DUET_DEVICE void add(const u32 (&a)[4]) {
    constexpr u32 kOnes = kDtype == Dtype::bf16 ? 0x3F803F80u : 0x3C003C00u;
    const u32 ones[1][2] = {{kOnes, kOnes}};
    const u32 rows[1][4] = {{a[0], a[1], a[2], a[3]}};
    const u32 columns[2][2] = {{a[0], a[2]}, {a[1], a[3]}};
    mma_tile<kDtype>(sums_, rows, ones);
    mma_tile<kDtype>(squares_, rows, columns);
  }

  // Of row 8 half + lane / 4, in the lanes that `holds` names.
  DUET_DEVICE RowSums total(int half, int lane) const {
    const bool odd = lane / 4 % 2 != 0;
    const float(&squares)[4] = squares_[0][half];
    return RowSums{sums_[0][0][half * 2], odd ? squares[half * 2 + 1] : squares[half * 2]};
  }
  // Of four lanes that hold a row's products, the one with the column of the same number.
  static DUET_DEVICE bool holds(int lane) { return lane % 4 == lane / 8; }

 private:
  float sums_[1][1][4];
  float squares_[1][2][4];  // 16 rows times rows 0-7, and times rows 8-15
};

}  // namespace duet
