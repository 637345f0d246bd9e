#include "frontend/processor.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace duet {
namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{64} << 20;
constexpr std::size_t kLevels = 256;

// int(shortest * long / short) is computed in double, as Python does.
ImageSize resized(const ImageSize& image, const ProcessorConfig& config) {
  if (!config.resize) return image;
  if (config.shortest_edge == 0) return config.exact;
  const auto scale_long = [&](std::int64_t longer, std::int64_t shorter) {
    return static_cast<std::int64_t>(static_cast<double>(config.shortest_edge * longer) / static_cast<double>(shorter));
  };
  if (image.width <= image.height) return {config.shortest_edge, scale_long(image.height, image.width)};
  return {scale_long(image.width, image.height), config.shortest_edge};
}

CropAxis crop_axis(std::int64_t size, std::int64_t crop) {
  if (crop <= size) return {{size, (size - crop) / 2, crop}, 0, crop};
  return {{size, 0, size}, (crop - size + 1) / 2, crop};
}

RgbImage pad(const RgbImage& image, const CropAxis& x, const CropAxis& y) {
  RgbImage out{x.size, y.size, std::vector<std::uint8_t>(static_cast<std::size_t>(x.size * y.size) * 3)};
  for (std::int64_t row = 0; row < image.height; ++row) {
    std::copy_n(image.pixels.begin() + row * image.width * 3, image.width * 3,
                out.pixels.begin() + ((row + y.pad) * x.size + x.pad) * 3);
  }
  return out;
}

// Every pixel has one of 256 values: float64 product, then float32, is done once each.
float level_value(const ProcessorConfig& config, std::size_t channel, std::size_t level) {
  float value = static_cast<float>(level);
  if (config.rescale) value = static_cast<float>(static_cast<double>(level) * config.rescale_factor);
  if (!config.normalize) return value;
  return (value - static_cast<float>(config.mean[channel])) / static_cast<float>(config.deviation[channel]);
}

void write_planes(const RgbImage& image, const LevelTables& levels, std::span<float> planes) {
  const auto plane_size = static_cast<std::size_t>(image.width * image.height);
  for (std::size_t channel = 0; channel < 3; ++channel) {
    float* plane = planes.data() + channel * plane_size;
    for (std::size_t i = 0; i < plane_size; ++i) plane[i] = levels[channel][image.pixels[i * 3 + channel]];
  }
}

}  // namespace

ProcessorConfig clip_processor(std::int64_t side) {
  ProcessorConfig config;
  config.shortest_edge = side;
  config.crop = true;
  config.crop_size = {side, side};
  config.mean = {0.48145466, 0.4578275, 0.40821073};
  config.deviation = {0.26862954, 0.26130258, 0.27577711};
  return config;
}

ProcessorConfig siglip_processor(std::int64_t side, ResampleFilter filter) {
  ProcessorConfig config;
  config.exact = {side, side};
  config.filter = filter;
  config.mean = config.deviation = {0.5, 0.5, 0.5};
  return config;
}

CropPlan plan_crop(const ImageSize& image, const ProcessorConfig& config) {
  const ImageSize size = resized(image, config);
  const ImageSize result = config.crop ? config.crop_size : size;
  if (result.width < 1 || result.height < 1 || result.width > kMaxPixels / result.height) {
    fail(ErrorKind::input, "an image of {} x {} pixels would become {} x {}; crop it, or set do_center_crop",
         image.width, image.height, result.width, result.height);
  }
  return {crop_axis(size.width, result.width), crop_axis(size.height, result.height)};
}

LevelTables level_tables(const ProcessorConfig& config) {
  LevelTables tables{};
  for (std::size_t channel = 0; channel < tables.size(); ++channel) {
    for (std::size_t level = 0; level < kLevels; ++level) tables[channel][level] = level_value(config, channel, level);
  }
  return tables;
}

RgbImage resize_and_crop(const RgbImage& image, const ProcessorConfig& config) {
  const auto [x, y] = plan_crop({image.width, image.height}, config);
  RgbImage part = resample(image, x.part, y.part, config.filter);
  return part.width == x.size && part.height == y.size ? part : pad(part, x, y);
}

HostTensor preprocess(const RgbImage& image, const ProcessorConfig& config) {
  return preprocess(std::span(&image, 1), config);
}

HostTensor preprocess(std::span<const RgbImage> images, const ProcessorConfig& config) {
  if (images.empty()) fail(ErrorKind::input, "no image to preprocess");
  const LevelTables levels = level_tables(config);
  HostTensor batch;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const RgbImage image = resize_and_crop(images[i], config);
    const Shape shape{static_cast<std::int64_t>(images.size()), 3, image.height, image.width};
    if (i == 0) batch = HostTensor::zeros(Dtype::f32, shape);
    if (batch.shape != shape) {
      fail(ErrorKind::input, "images of one batch must come out alike: {} against {}", shape_text(shape),
           shape_text(batch.shape));
    }
    const std::size_t values = image.pixels.size();
    write_planes(image, levels, batch.floats().subspan(i * values, values));
  }
  return batch;
}

}  // namespace duet
