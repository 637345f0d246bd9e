// A processor's settings as the two passes of templates/image.cuh, for a device that preprocesses photographs itself.
#pragma once

#include <cstdint>
#include <vector>

#include "frontend/processor.h"
#include "templates/image_config.h"

namespace duet {

// Weight k of tap i is weights[k * taps + i]; zero behind a tap's last.
struct FilterTable {
  std::vector<std::int32_t> begins{};
  std::vector<std::int32_t> counts{};
  std::vector<std::int32_t> weights{};
};

struct ImagePasses {
  std::int64_t first_row = 0;  // of the photograph: the first that is read; `rows.height` are
  FilterTable x{};
  FilterTable y{};  // counted from first_row
  LevelTables levels{};
  ImageParams rows{};  // all sizes; pointers are null
  ImageParams columns{};
};

// For photographs of that size. Throws Error(input) as plan_crop and resample_taps do.
ImagePasses image_passes(const ImageSize& photo, const ProcessorConfig& config);

}  // namespace duet
