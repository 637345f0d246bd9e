// NumPy arrays.
#include "base/npy.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::FuzzFile file("fuzzed.npy");
  file.write(data, size);
  duet::expect_value_or_refusal([&] {
    const duet::HostTensor tensor = duet::read_npy(file.path());
    if (tensor.bytes.size() > 2 * size) std::abort();  // more than the file holds
  });
  return 0;
}
