// Preprocessing on the emulator, through the Device interface as `duet run --preprocess gpu` does it: equal to the
// frontend's to the bit, for photographs of every kind.
#include "emulator/emulator_device.h"
#include "tests/frontend/golden.h"
#include "tests/support/preprocess_check.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

class DevicePreprocess : public ::testing::Test {
 protected:
  DevicePreprocess() {
    EmulatorOptions options;
    options.include_dir = DUET_SOURCE_DIR;
    options.cache_dir = cache_.path();
    device_ = EmulatorDevice::open(options);
  }
  TempDir cache_;
  std::unique_ptr<EmulatorDevice> device_;
};

TEST_F(DevicePreprocess, EqualsTheProcessorForEveryKindOfFile) {
  std::vector<RgbImage> photos{testing::noise_photo(1, 1), testing::noise_photo(1000, 700)};
  for (const char* name : {"grey.png", "rgba.png", "palette.png", "thin-tall.png", "thin-wide.png", "exif6.jpg",
                           "420.jpg", "large.jpg", "exact.png"})
    photos.push_back(read_image(golden_path("images/" + std::string(name))));
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
    testing::expect_equal_preprocessing(*device_, nullptr, clip_processor(32), dtype, photos);
    testing::expect_equal_preprocessing(*device_, nullptr, siglip_processor(24), dtype, photos);
  }
}

TEST_F(DevicePreprocess, TheFullSizeOfClip) {
  testing::expect_equal_preprocessing(*device_, nullptr, clip_processor(224), Dtype::f16,
                                      {read_image(golden_path("images/large.jpg"))});
}

TEST_F(DevicePreprocess, RefusesWhatTheProcessorRefuses) {
  DevicePreprocessor preprocessor(*device_, nullptr, siglip_processor(224), Dtype::f16);
  DeviceBuffer out(*device_, 3 * 224 * 224 * 2);
  EXPECT_THROW(preprocessor.run(testing::noise_photo(1, 1 << 20), out.address()), Error);
}

}  // namespace
}  // namespace duet
