// Whole checkpoints: every tensor that the file claims to have is read to its end.
#include <numeric>

#include "runtime/safetensors.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::FuzzFile file("fuzzed.safetensors");
  file.write(data, size);
  duet::expect_value_or_refusal([&] {
    const auto checkpoint = duet::SafetensorsFile::open(file.path());
    for (const std::string& name : checkpoint.names()) {
      duet::expect_value_or_refusal([&] {
        unsigned sum = 0;
        for (const std::byte byte : checkpoint.tensor(name).bytes) sum += std::to_integer<unsigned>(byte);
        volatile unsigned kept = sum;
        static_cast<void>(kept);
      });
    }
  });
  return 0;
}
