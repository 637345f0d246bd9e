// Device descriptions.
#include "codegen/device_spec.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::FuzzFile file("fuzzed.yaml");
  file.write(data, size);
  duet::expect_value_or_refusal([&] { duet::load_device(file.folder(), "fuzzed"); });
  duet::expect_value_or_refusal([&] { duet::load_device(file.folder(), "fuzzed@15W"); });
  return 0;
}
