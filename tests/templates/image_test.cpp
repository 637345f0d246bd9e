// The image kernels in the emulator, against the frontend's processor: equal to the bit.
#include "templates/image.cuh"

#include "cli/image_passes.h"
#include "tests/templates/kernel_harness.h"

namespace duet {

struct rows_entry {
  static constexpr ImageConfig value{};
};
DUET_KERNEL(image_rows, ImageParams, rows_entry::value.threads(), 1) { image<rows_entry>(params); }

template <Dtype kDtype>
struct columns_entry {
  static constexpr ImageConfig value = [] {
    ImageConfig config{};
    config.op.pass = ImagePass::columns;
    config.op.dtype = kDtype;
    config.tile.threads = 96;
    return config;
  }();
};
DUET_KERNEL(image_columns_f32, ImageParams, columns_entry<Dtype::f32>::value.threads(), 1) {
  image<columns_entry<Dtype::f32>>(params);
}
DUET_KERNEL(image_columns_f16, ImageParams, columns_entry<Dtype::f16>::value.threads(), 1) {
  image<columns_entry<Dtype::f16>>(params);
}
DUET_KERNEL(image_columns_bf16, ImageParams, columns_entry<Dtype::bf16>::value.threads(), 1) {
  image<columns_entry<Dtype::bf16>>(params);
}

namespace {

using namespace duet::testing;

constexpr int kWordBytes = 4;

RgbImage noise(int width, int height) {
  Random random(static_cast<std::uint32_t>(width * 10007 + height));
  RgbImage image{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3))};
  for (std::uint8_t& value : image.pixels) value = static_cast<std::uint8_t>(random.integer(0, 255));
  return image;
}

GuardedMatrix table_of(std::span<const std::int32_t> values) {
  GuardedMatrix table(Dtype::i32, 1, static_cast<int>(values.size()), static_cast<int>(values.size()));
  std::copy(values.begin(), values.end(), table.as<std::int32_t>());
  return table;
}

// The tables of one pass, and their addresses in its parameters.
struct Tables {
  Tables(const FilterTable& filter, ImageParams& params)
      : begins(table_of(filter.begins)), counts(table_of(filter.counts)), weights(table_of(filter.weights)) {
    params.begins = begins.as<int>();
    params.counts = counts.as<int>();
    params.weights = weights.as<int>();
  }
  GuardedMatrix begins, counts, weights;
};

void launch(emulator::KernelEntry entry, const ImageConfig& config, const ImageParams& params, int pixels,
            GuardedMatrix& out, Runs runs) {
  run_kernel<ImageParams>({.entry = entry,
                           .grid = image_grid(config, pixels),
                           .threads = config.threads(),
                           .smem_bytes = config.smem_bytes(),
                           .params = params},
                          {&out}, runs);
}

// The strip that the first pass makes of the rows that are read.
GuardedMatrix run_rows(const RgbImage& photo, ImagePasses& passes, Runs runs) {
  const int words = static_cast<int>(image_bytes(passes.rows.width, passes.rows.height)) / kWordBytes;
  GuardedMatrix pixels(Dtype::i32, 1, words, words);
  std::copy_n(photo.pixels.begin() + passes.first_row * photo.width * 3, passes.rows.width * passes.rows.height * 3,
              pixels.as<std::uint8_t>());
  const Tables tables(passes.x, passes.rows);
  GuardedMatrix strip(Dtype::i32, passes.rows.height, passes.rows.taps, passes.rows.taps);
  passes.rows.pixels = pixels.data();
  passes.rows.out = strip.data();
  launch(image_rows, rows_entry::value, passes.rows, passes.rows.height * passes.rows.taps, strip, runs);
  return strip;
}

template <Dtype kDtype>
void check_columns(emulator::KernelEntry entry, ImagePasses& passes, GuardedMatrix& strip, const HostTensor& expected,
                   Runs runs) {
  const Tables tables(passes.y, passes.columns);
  GuardedMatrix levels(Dtype::f32, 3, 256, 256);
  levels.fill([&](int channel, int level) {
    return passes.levels[static_cast<std::size_t>(channel)][static_cast<std::size_t>(level)];
  });
  GuardedMatrix out(kDtype, 3 * passes.columns.out_h, passes.columns.out_w, passes.columns.out_w);
  passes.columns.pixels = strip.data();
  passes.columns.levels = levels.as<float>();
  passes.columns.out = out.data();
  launch(entry, columns_entry<kDtype>::value, passes.columns, passes.columns.out_w * passes.columns.out_h, out, runs);
  EXPECT_EQ(out.payload(), convert(expected, kDtype).bytes) << dtype_name(kDtype);
}

void check_photo(int width, int height, const ProcessorConfig& config, Runs runs = Runs::two) {
  SCOPED_TRACE(::testing::Message() << width << " x " << height);
  const RgbImage photo = noise(width, height);
  ImagePasses passes = image_passes({width, height}, config);
  GuardedMatrix strip = run_rows(photo, passes, runs);
  const HostTensor expected = preprocess(photo, config);
  check_columns<Dtype::f32>(image_columns_f32, passes, strip, expected, runs);
  check_columns<Dtype::f16>(image_columns_f16, passes, strip, expected, runs);
  check_columns<Dtype::bf16>(image_columns_bf16, passes, strip, expected, runs);
}

TEST(Image, EqualsTheProcessorToTheBit) {
  check_photo(1, 1, clip_processor(17));
  check_photo(1, 4000, clip_processor(9));
  check_photo(1500, 2, siglip_processor(12));
  check_photo(2, 1500, siglip_processor(12));
  check_photo(37, 53, clip_processor(32));
  check_photo(32, 32, clip_processor(32));
  check_photo(33, 31, clip_processor(32));
  check_photo(640, 427, clip_processor(21));
  check_photo(301, 199, siglip_processor(24, ResampleFilter::bicubic));
}

TEST(Image, PadsAndCropsAsTheProcessorDoes) {
  ProcessorConfig config = clip_processor(20);
  config.crop_size = {31, 12};
  check_photo(41, 67, config);
  config.resize = false;
  check_photo(25, 9, config);
  config.rescale = config.normalize = false;
  check_photo(64, 48, config);
}

TEST(Image, EveryThreadOrderGivesTheSameBits) { check_photo(45, 38, clip_processor(16), Runs::all_variants); }

TEST(Image, NamesWhatIsInfeasible) {
  EXPECT_EQ(image_infeasible(ImageConfig{}), nullptr);
  ImageConfig config{};
  config.tile.threads = 100;
  EXPECT_NE(image_infeasible(config), nullptr);
  config = {};
  config.op.dtype = Dtype::i32;
  EXPECT_NE(image_infeasible(config), nullptr);
}

}  // namespace
}  // namespace duet
