// What a compiled kernel uses: registers and shared memory from its ELF image, spills from the assembler's log.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/plan.h"

namespace duet {

struct CubinInfo {
  int registers = 0;          // per thread; 0 when the image does not say
  int static_smem_bytes = 0;  // from sm_90 on with the kilobyte that the system reserves
  std::string text_hash;      // of the machine code: equal for twins under different names; empty when not found
};

// Of one entry. Every offset in the image is checked: an image that is no ELF, or a damaged one, gives zeros.
CubinInfo read_cubin_info(std::span<const std::byte> image, std::string_view entry);

struct PtxasUsage {
  int spill_store_bytes = 0;
  int spill_load_bytes = 0;
  int stack_bytes = 0;
  int static_smem_bytes = 0;  // without what the system reserves
  bool found = false;         // the log carries a usage line

  int spill_bytes() const { return spill_store_bytes + spill_load_bytes; }
};

// Sums over the functions of a `--ptxas-options=-v` log.
PtxasUsage read_ptxas_log(std::string_view log);

// Registers, spills and static shared memory of an image, from its bytes and the log it was compiled with.
void fill_usage(KernelImage& image, std::string_view entry, std::string_view log);

}  // namespace duet
