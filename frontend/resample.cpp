#include "frontend/resample.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace duet {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // 8 bits of pixel, 2 of overshoot
constexpr std::int64_t kMaxSide = std::int64_t{1} << 31;
constexpr int kChannels = 3;

double bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

// Keys' cubic convolution with a = -0.5.
double bicubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

struct Kernel {
  double (*weight)(double);
  double support;
};

Kernel kernel_of(ResampleFilter filter) {
  return filter == ResampleFilter::bilinear ? Kernel{bilinear, 1} : Kernel{bicubic, 2};
}

// One output pixel: the input pixels it reads and their weights.
struct Tap {
  std::int64_t begin = 0;
  std::size_t first_weight = 0;
  std::size_t count = 0;
};

struct Taps {
  std::vector<Tap> taps{};
  std::vector<std::int32_t> weights{};  // fixed point
};

std::int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << kPrecisionBits);
  return static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

void add_tap(Taps& out, std::int64_t index, std::int64_t input_size, double scale, const Kernel& kernel,
             std::vector<double>& scratch) {
  const double filter_scale = std::max(scale, 1.0), support = kernel.support * filter_scale;
  const double center = (static_cast<double>(index) + 0.5) * scale, inverse = 1.0 / filter_scale;
  const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - support + 0.5));
  const auto end = std::min<std::int64_t>(input_size, static_cast<std::int64_t>(center + support + 0.5));
  scratch.clear();
  double sum = 0;
  for (std::int64_t i = 0; i < end - begin; ++i) {
    scratch.push_back(kernel.weight((static_cast<double>(i + begin) - center + 0.5) * inverse));
    sum += scratch.back();
  }
  out.taps.push_back({begin, out.weights.size(), scratch.size()});
  for (const double weight : scratch) out.weights.push_back(to_fixed(sum != 0 ? weight / sum : weight));
}

Taps make_taps(std::int64_t input_size, const AxisPart& part, ResampleFilter filter) {
  const double scale = static_cast<double>(input_size) / static_cast<double>(part.size);
  const Kernel kernel = kernel_of(filter);
  Taps taps;
  std::vector<double> scratch;
  for (std::int64_t i = part.begin; i < part.begin + part.count; ++i) {
    add_tap(taps, i, input_size, scale, kernel, scratch);
  }
  return taps;
}

std::uint8_t to_pixel(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255)); }

// The weighted sum of one pixel's channels; `step` bytes lie between the pixels read.
void convolve(const std::uint8_t* source, std::size_t step, const std::int32_t* weights, std::size_t count,
              std::uint8_t* out) {
  std::int32_t sums[kChannels];
  std::fill(sums, sums + kChannels, 1 << (kPrecisionBits - 1));
  for (std::size_t i = 0; i < count; ++i) {
    for (int c = 0; c < kChannels; ++c) sums[c] += source[i * step + static_cast<std::size_t>(c)] * weights[i];
  }
  for (int c = 0; c < kChannels; ++c) out[c] = to_pixel(sums[c]);
}

RgbImage empty_image(std::int64_t width, std::int64_t height) {
  return {width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height) * kChannels)};
}

// Rows [first_row, first_row + rows) of the image, resized along x.
RgbImage resize_rows(const RgbImage& image, const Taps& taps, std::int64_t first_row, std::int64_t rows) {
  RgbImage out = empty_image(static_cast<std::int64_t>(taps.taps.size()), rows);
  std::uint8_t* pixel = out.pixels.data();
  for (std::int64_t y = first_row; y < first_row + rows; ++y) {
    const std::uint8_t* row = image.pixels.data() + y * image.width * kChannels;
    for (const Tap& tap : taps.taps) {
      convolve(row + tap.begin * kChannels, kChannels, taps.weights.data() + tap.first_weight, tap.count, pixel);
      pixel += kChannels;
    }
  }
  return out;
}

// `image` starts at row `first_row` of what the taps were made for.
RgbImage resize_columns(const RgbImage& image, const Taps& taps, std::int64_t first_row) {
  RgbImage out = empty_image(image.width, static_cast<std::int64_t>(taps.taps.size()));
  const auto row_bytes = static_cast<std::size_t>(image.width) * kChannels;
  std::uint8_t* pixel = out.pixels.data();
  for (const Tap& tap : taps.taps) {
    const std::uint8_t* top = image.pixels.data() + static_cast<std::size_t>(tap.begin - first_row) * row_bytes;
    for (std::int64_t x = 0; x < image.width; ++x, pixel += kChannels) {
      convolve(top + x * kChannels, row_bytes, taps.weights.data() + tap.first_weight, tap.count, pixel);
    }
  }
  return out;
}

// An axis that keeps its size is copied, not filtered.
Taps copy_taps(const AxisPart& part) {
  Taps taps;
  taps.weights = {1 << kPrecisionBits};
  for (std::int64_t i = part.begin; i < part.begin + part.count; ++i) taps.taps.push_back({i, 0, 1});
  return taps;
}

void check_part(const AxisPart& part, std::int64_t input_size) {
  if (input_size < 1 || part.size < 1 || part.size > kMaxSide || part.begin < 0 || part.count < 1 ||
      part.count > part.size - part.begin) {
    fail(ErrorKind::input, "pixels [{}, {}) of {} cannot be made from {} pixels", part.begin, part.begin + part.count,
         part.size, input_size);
  }
}

}  // namespace

RgbImage resample(const RgbImage& image, const AxisPart& x, const AxisPart& y, ResampleFilter filter) {
  check_part(x, image.width);
  check_part(y, image.height);
  const Taps columns = x.size == image.width ? copy_taps(x) : make_taps(image.width, x, filter);
  const Taps rows = y.size == image.height ? copy_taps(y) : make_taps(image.height, y, filter);
  const std::int64_t first_row = rows.taps.front().begin;
  const std::int64_t end_row = rows.taps.back().begin + static_cast<std::int64_t>(rows.taps.back().count);
  return resize_columns(resize_rows(image, columns, first_row, end_row - first_row), rows, first_row);
}

}  // namespace duet
