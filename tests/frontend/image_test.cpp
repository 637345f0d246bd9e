// Decoding, orientation, resizing and normalising against what Pillow and transformers make of the same files.
#include "frontend/image.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/hash.h"
#include "frontend/processor.h"
#include "tests/frontend/golden.h"

namespace duet {
namespace {

std::string pixel_hash(const RgbImage& image) { return hash_bytes(std::as_bytes(std::span(image.pixels))); }

// The first pixels in hexadecimal, to see how far off a difference is.
std::string first_row(const RgbImage& image) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(24, static_cast<std::size_t>(image.width) * 3); ++i) {
    text += fmt::format("{:02x}", image.pixels[i]);
  }
  return text;
}

void check_processor(const RgbImage& image, const std::string& key, const nlohmann::json& expected) {
  SCOPED_TRACE(key);
  const ProcessorConfig config = read_processor(golden_path("processor-" + key + ".json"));
  const RgbImage resized = resize_and_crop(image, config);
  EXPECT_EQ(first_row(resized), expected["first_row"]);
  EXPECT_EQ(pixel_hash(resized), expected["pixels"]);
  const HostTensor tensor = preprocess(image, config);
  EXPECT_EQ(tensor.shape, expected["shape"].get<Shape>());
  EXPECT_EQ(hash_bytes(tensor.bytes), expected["tensor"]);
}

TEST(Image, EqualsPillowAndTransformersBitForBit) {
  const nlohmann::json golden = golden_json("images.json");
  EXPECT_GE(golden["images"].size(), 40U);
  for (const nlohmann::json& entry : golden["images"]) {
    const std::string file = entry["file"];
    SCOPED_TRACE(file);
    const RgbImage image = read_image(golden_path("images/" + file));
    EXPECT_EQ(image.width, entry["width"]);
    EXPECT_EQ(image.height, entry["height"]);
    EXPECT_EQ(first_row(image), entry["first_row"]);
    EXPECT_EQ(pixel_hash(image), entry["pixels"]);
    for (const auto& [key, expected] : entry["processors"].items()) check_processor(image, key, expected);
  }
}

TEST(Image, WhatHasNoRgbMeaningIsRefused) {
  for (const char* name : {"cmyk.jpg", "grey16.png"}) {
    try {
      read_image(golden_path(std::string("images/") + name));
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_NE(std::string(error.what()).find("convert it to"), std::string::npos) << error.what();
    }
  }
}

TEST(Image, ABatchHoldsItsImagesInOrder) {
  const std::vector<RgbImage> images{read_image(golden_path("images/odd.png")),
                                     read_image(golden_path("images/420.jpg"))};
  const ProcessorConfig config = clip_processor(32);
  const HostTensor batch = preprocess(images, config);
  EXPECT_EQ(batch.shape, (Shape{2, 3, 32, 32}));
  const HostTensor second = preprocess(images[1], config);
  EXPECT_TRUE(std::equal(second.bytes.begin(), second.bytes.end(), batch.bytes.begin() + 3 * 32 * 32 * 4));
}

TEST(Image, ImagesOfOneBatchMustComeOutAlike) {
  ProcessorConfig config = clip_processor(32);
  config.crop = false;
  const std::vector<RgbImage> images{read_image(golden_path("images/odd.png")),
                                     read_image(golden_path("images/420.jpg"))};
  EXPECT_THROW(preprocess(images, config), Error);
  EXPECT_THROW(preprocess(std::span<const RgbImage>(), config), Error);
}

TEST(Image, ACropOfAHugeResultIsCheap) {
  const RgbImage line{1, 1 << 20,
                      std::vector<std::uint8_t>(std::size_t{3} << 20, 200)};  // would become 224 x 235 million
  const RgbImage cropped = resize_and_crop(line, clip_processor(224));
  EXPECT_EQ(cropped.pixels, std::vector<std::uint8_t>(std::size_t{224} * 224 * 3, 200));
}

}  // namespace
}  // namespace duet
