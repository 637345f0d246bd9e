// preprocessor_config.json; settings that are read are used.
#include "frontend/processor.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::FuzzFile file("preprocessor_config.json");
  static const duet::RgbImage image{5, 3, std::vector<std::uint8_t>(5 * 3 * 3, 100)};
  file.write(data, size);
  duet::expect_value_or_refusal([&] {
    duet::ProcessorConfig config = duet::read_processor(file.path());
    if (config.crop_size.width > 64 || config.crop_size.height > 64 || config.exact.width > 64 ||
        config.exact.height > 64 || config.shortest_edge > 64)
      return;  // allowed, and too slow here
    duet::preprocess(image, config);
  });
  return 0;
}
