// The JSON header of a checkpoint. The first byte chooses how many bytes of data follow it.
#include "runtime/safetensors_header.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint64_t data_bytes = std::uint64_t{1} << (data[0] % 64);
  duet::expect_value_or_refusal(
      [&] { duet::parse_safetensors_header(duet::text_of(data + 1, size - 1), data_bytes, "fuzzed"); });
  return 0;
}
