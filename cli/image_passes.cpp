#include "cli/image_passes.h"

#include <algorithm>

namespace duet {
namespace {

FilterTable tabulate(const AxisTaps& taps, std::int64_t origin) {
  const auto size = taps.begins.size();
  const auto most = static_cast<std::size_t>(*std::max_element(taps.counts.begin(), taps.counts.end()));
  FilterTable table{.begins = taps.begins, .counts = taps.counts, .weights = std::vector<std::int32_t>(most * size)};
  for (std::int32_t& begin : table.begins) begin -= static_cast<std::int32_t>(origin);
  for (std::size_t i = 0; i < size; ++i) {
    const std::int32_t* weights = taps.weights.data() + taps.first_weights[i];
    for (std::size_t k = 0; k < static_cast<std::size_t>(taps.counts[i]); ++k) table.weights[k * size + i] = weights[k];
  }
  return table;
}

}  // namespace

ImagePasses image_passes(const ImageSize& photo, const ProcessorConfig& config) {
  const auto [x, y] = plan_crop(photo, config);
  const ResampleTaps taps = resample_taps(photo.width, photo.height, x.part, y.part, config.filter);
  ImagePasses passes{.first_row = taps.y.begin(), .levels = level_tables(config)};
  passes.x = tabulate(taps.x, 0);
  passes.y = tabulate(taps.y, passes.first_row);
  passes.rows.width = static_cast<int>(photo.width);
  passes.rows.height = static_cast<int>(taps.y.end() - taps.y.begin());
  passes.rows.taps = static_cast<int>(taps.x.size());
  passes.columns.width = passes.rows.taps;
  passes.columns.height = passes.rows.height;
  passes.columns.taps = static_cast<int>(taps.y.size());
  passes.columns.out_w = static_cast<int>(x.size);
  passes.columns.out_h = static_cast<int>(y.size);
  passes.columns.pad_x = static_cast<int>(x.pad);
  passes.columns.pad_y = static_cast<int>(y.pad);
  return passes;
}

}  // namespace duet
