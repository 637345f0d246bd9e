// Calibrations of the cost model: what is read must read the same once written.
#include <cstdlib>
#include <string>

#include "codegen/calibration.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::FuzzFile file("fuzzed.yaml");
  file.write(data, size);
  duet::expect_value_or_refusal([&] {
    const duet::Calibration read = duet::load_calibration(file.path());
    const std::string text = duet::calibration_yaml(read);
    file.write(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    if (duet::calibration_yaml(duet::load_calibration(file.path())) != text) std::abort();
  });
  return 0;
}
