#include "frontend/resample.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace duet {
namespace {

static_assert(kResampleBits == 32 - 8 - 2);  // 8 bits of pixel, 2 of overshoot
constexpr std::int64_t kMaxSide = std::int64_t{1} << 31;
constexpr std::int64_t kMaxStripPixels = std::int64_t{64} << 20;
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

// Support of a half: the one pixel itself, with all the weight.
constexpr Kernel kCopy{[](double) { return 1.0; }, 0.5};

Kernel kernel_of(ResampleFilter filter) {
  return filter == ResampleFilter::bilinear ? Kernel{bilinear, 1} : Kernel{bicubic, 2};
}

std::int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << kResampleBits);
  return static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

// Appends the next output pixel, whose centre lies at `center` of the input.
void add_tap(AxisTaps& out, double center, double scale, std::int64_t input_size, const Kernel& kernel,
             std::vector<double>& scratch) {
  const double filter_scale = std::max(scale, 1.0), support = kernel.support * filter_scale;
  const double inverse = 1.0 / filter_scale;
  const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - support + 0.5));
  const auto end = std::min<std::int64_t>(input_size, static_cast<std::int64_t>(center + support + 0.5));
  scratch.clear();
  double sum = 0;
  for (std::int64_t i = 0; i < end - begin; ++i) {
    scratch.push_back(kernel.weight((static_cast<double>(i + begin) - center + 0.5) * inverse));
    sum += scratch.back();
  }
  out.begins.push_back(static_cast<std::int32_t>(begin));
  out.counts.push_back(static_cast<std::int32_t>(scratch.size()));
  out.first_weights.push_back(static_cast<std::int32_t>(out.weights.size()));
  for (const double weight : scratch) out.weights.push_back(to_fixed(sum != 0 ? weight / sum : weight));
}

std::uint8_t to_pixel(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kResampleBits, 0, 255)); }

// The weighted sum of one pixel's channels; `step` bytes lie between the pixels read.
void convolve(const std::uint8_t* source, std::size_t step, const std::int32_t* weights, std::int32_t count,
              std::uint8_t* out) {
  std::int32_t sums[kChannels];
  std::fill(sums, sums + kChannels, 1 << (kResampleBits - 1));
  for (std::int32_t i = 0; i < count; ++i, source += step) {
    for (int c = 0; c < kChannels; ++c) sums[c] += source[c] * weights[i];
  }
  for (int c = 0; c < kChannels; ++c) out[c] = to_pixel(sums[c]);
}

RgbImage empty_image(std::int64_t width, std::int64_t height) {
  return {width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height) * kChannels)};
}

// Rows [first_row, first_row + rows) of the image, resized along x.
RgbImage resize_rows(const RgbImage& image, const AxisTaps& taps, std::int64_t first_row, std::int64_t rows) {
  RgbImage out = empty_image(taps.size(), rows);
  std::uint8_t* pixel = out.pixels.data();
  for (std::int64_t y = first_row; y < first_row + rows; ++y) {
    const std::uint8_t* row = image.pixels.data() + y * image.width * kChannels;
    for (std::size_t x = 0; x < taps.begins.size(); ++x, pixel += kChannels) {
      convolve(row + std::ptrdiff_t{taps.begins[x]} * kChannels, kChannels, taps.weights.data() + taps.first_weights[x],
               taps.counts[x], pixel);
    }
  }
  return out;
}

// `image` starts at row `first_row` of what the taps were made for.
RgbImage resize_columns(const RgbImage& image, const AxisTaps& taps, std::int64_t first_row) {
  RgbImage out = empty_image(image.width, taps.size());
  const auto row_bytes = static_cast<std::size_t>(image.width) * kChannels;
  std::uint8_t* pixel = out.pixels.data();
  for (std::size_t y = 0; y < taps.begins.size(); ++y) {
    const std::uint8_t* top = image.pixels.data() + static_cast<std::size_t>(taps.begins[y] - first_row) * row_bytes;
    for (std::int64_t x = 0; x < image.width; ++x, pixel += kChannels) {
      convolve(top + x * kChannels, row_bytes, taps.weights.data() + taps.first_weights[y], taps.counts[y], pixel);
    }
  }
  return out;
}

void check_part(const AxisPart& part, std::int64_t input_size) {
  if (input_size < 1 || part.size < 1 || part.size > kMaxSide || part.begin < 0 || part.count < 1 ||
      part.count > part.size - part.begin) {
    fail(ErrorKind::input, "pixels [{}, {}) of {} cannot be made from {} pixels", part.begin, part.begin + part.count,
         part.size, input_size);
  }
}

AxisTaps axis_taps(std::int64_t input_size, const AxisPart& part, ResampleFilter filter) {
  check_part(part, input_size);
  const double scale = static_cast<double>(input_size) / static_cast<double>(part.size);
  const Kernel kernel = part.size == input_size ? kCopy : kernel_of(filter);
  AxisTaps taps;
  std::vector<double> scratch;
  for (std::int64_t i = part.begin; i < part.begin + part.count; ++i) {
    add_tap(taps, (static_cast<double>(i) + 0.5) * scale, scale, input_size, kernel, scratch);
  }
  return taps;
}

}  // namespace

ResampleTaps resample_taps(std::int64_t width, std::int64_t height, const AxisPart& x, const AxisPart& y,
                           ResampleFilter filter) {
  ResampleTaps taps{axis_taps(width, x, filter), axis_taps(height, y, filter)};
  const std::int64_t rows = taps.y.end() - taps.y.begin();
  if (taps.x.size() > kMaxStripPixels / rows) {
    fail(ErrorKind::input, "{} rows of {} x {} pixels would be widened to {}; crop the image, or scale it down first",
         rows, width, height, taps.x.size());
  }
  return taps;
}

RgbImage resample(const RgbImage& image, const AxisPart& x, const AxisPart& y, ResampleFilter filter) {
  const ResampleTaps taps = resample_taps(image.width, image.height, x, y, filter);
  const std::int64_t rows = taps.y.end() - taps.y.begin();
  return resize_columns(resize_rows(image, taps.x, taps.y.begin(), rows), taps.y, taps.y.begin());
}

}  // namespace duet
