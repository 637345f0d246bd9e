// From a photo to the tensor a vision tower takes, by a checkpoint's own settings: resize, crop, rescale, normalise, in
// the arithmetic of the PIL-backed CLIPImageProcessor and SiglipImageProcessor of transformers. The result is theirs to
// the bit.
//
//   const ProcessorConfig config = read_processor("clip/preprocessor_config.json");
//   HostTensor pixels = preprocess(read_image("photo.jpg"), config);  // (1, 3, 224, 224)
#pragma once

#include <array>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/tensor.h"
#include "frontend/image.h"
#include "frontend/resample.h"

namespace duet {

struct ImageSize {
  std::int64_t width = 0;
  std::int64_t height = 0;

  bool operator==(const ImageSize&) const = default;
};

struct ProcessorConfig {
  bool resize = true;
  std::int64_t shortest_edge = 0;  // keeps the aspect ratio; 0: resize to `exact`
  ImageSize exact{};
  ResampleFilter filter = ResampleFilter::bicubic;
  bool crop = false;  // about the centre; what is missing is black
  ImageSize crop_size{};
  bool rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool normalize = true;
  std::array<double, 3> mean{};
  std::array<double, 3> deviation{1, 1, 1};

  bool operator==(const ProcessorConfig&) const = default;
};

// What OpenAI's CLIP and Google's SigLIP checkpoints use, for a tower that takes `side` x `side` pixels.
ProcessorConfig clip_processor(std::int64_t side);
ProcessorConfig siglip_processor(std::int64_t side, ResampleFilter filter = ResampleFilter::bilinear);

// A preprocessor_config.json of one of the two classes (also of their older spellings: plain integers for sizes,
// `feature_extractor_type`). Keys left out have the class's defaults. Throws Error(input) naming file and key: another
// class, a wrong type, a value out of range, an unsupported filter.
ProcessorConfig read_processor(const std::filesystem::path& path);

// One axis of the crop: what part of the resized image it shows, and where that part lies in the result.
struct CropAxis {
  AxisPart part{};
  std::int64_t pad = 0;
  std::int64_t size = 0;
};
struct CropPlan {
  CropAxis x{};
  CropAxis y{};
};
// What resizing and cropping do to an image of that size. Throws Error(input) when the result would exceed 64 Mi
// pixels.
CropPlan plan_crop(const ImageSize& image, const ProcessorConfig& config);

// What rescaling and normalising make of each level of each channel, in the arithmetic of transformers.
using LevelTables = std::array<std::array<float, 256>, 3>;
LevelTables level_tables(const ProcessorConfig& config);

// The image after resizing and cropping, still 8-bit. Throws as plan_crop and resample do.
RgbImage resize_and_crop(const RgbImage& image, const ProcessorConfig& config);
// f32 (1, 3, height, width). Throws as above.
HostTensor preprocess(const RgbImage& image, const ProcessorConfig& config);
// f32 (n, 3, height, width). Throws Error(input) for no image, or when the results differ in size.
HostTensor preprocess(std::span<const RgbImage> images, const ProcessorConfig& config);

}  // namespace duet
