// Compiled images (ELF) and the assembler's log.
#include "tests/fuzz/fuzz_target.h"
#include "tuner/cubin_info.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Copied, so that an access beyond the end meets the allocator's guard.
  const std::vector<std::byte> image(reinterpret_cast<const std::byte*>(data),
                                     reinterpret_cast<const std::byte*>(data) + size);
  duet::read_cubin_info(image, "kernel");
  duet::read_ptxas_log(duet::text_of(data, size));
  return 0;
}
