// preprocessor_config.json: the spellings that published CLIP and SigLIP checkpoints use.
#include <cmath>
#include <string>

#include "base/error.h"
#include "frontend/json_file.h"
#include "frontend/processor.h"

namespace duet {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxConfigBytes = 1 << 20;
constexpr std::int64_t kMaxSide = 8192;
constexpr double kMaxNumber = 1e9;

// One file's settings; every complaint names the file and the key.
class Settings {
 public:
  Settings(std::string file, json values) : file_(std::move(file)), values_(std::move(values)) {}

  // Null counts as left out.
  const json* find(const char* key) const {
    const auto found = values_.find(key);
    return found == values_.end() || found->is_null() ? nullptr : &*found;
  }
  [[noreturn]] void refuse(std::string_view key, std::string_view reason) const {
    fail(ErrorKind::input, "{}: '{}' {}", file_, key, reason);
  }

  std::string text(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_string()) refuse(key, "must be a string");
    return value->get<std::string>();
  }
  bool flag(const char* key, bool otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) refuse(key, "must be true or false");
    return value->get<bool>();
  }
  double number(const json& value, const char* key) const {
    const bool fits = value.is_number() && std::abs(value.get<double>()) <= kMaxNumber;  // also in float32
    if (!fits) refuse(key, "must be a number of ordinary size");
    return value.get<double>();
  }
  std::int64_t side(const json& value, const char* key) const {
    const bool fits = value.is_number_integer() && value.get<double>() >= 1 && value.get<double>() <= kMaxSide;
    if (!fits) refuse(key, fmt::format("must have sides from 1 to {} pixels", kMaxSide));
    return value.get<std::int64_t>();
  }
  std::array<double, 3> channels(const char* key, const std::array<double, 3>& otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (value->is_number()) return {number(*value, key), number(*value, key), number(*value, key)};
    if (!value->is_array() || value->size() != 3) refuse(key, "must be three numbers");
    return {number((*value)[0], key), number((*value)[1], key), number((*value)[2], key)};
  }
  ImageSize rectangle(const json& value, const char* key) const {
    if (value.is_number()) return {side(value, key), side(value, key)};
    if (!value.is_object() || !value.contains("width") || !value.contains("height")) {
      refuse(key, "must be a number, or an object with 'height' and 'width'");
    }
    return {side(value["width"], key), side(value["height"], key)};
  }

 private:
  std::string file_;
  json values_;
};

// Old files name the class under `feature_extractor_type`, some name none.
ProcessorConfig class_defaults(const Settings& settings) {
  std::string name = settings.text("image_processor_type");
  if (name.empty()) name = settings.text("feature_extractor_type");
  for (const std::string_view suffix : {"Fast", "Pil"}) {
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  }
  if (name == "SiglipImageProcessor") return siglip_processor(224, ResampleFilter::bicubic);
  if (name == "CLIPImageProcessor" || name == "CLIPFeatureExtractor" || name.empty()) return clip_processor(224);
  settings.refuse("image_processor_type",
                  fmt::format("is {}; CLIPImageProcessor and SiglipImageProcessor are supported", name));
}

// A plain number is the shortest edge for CLIP, and both sides for SigLIP.
void read_size(const Settings& settings, ProcessorConfig& config) {
  const json* size = settings.find("size");
  if (size == nullptr) return;
  const bool keeps_ratio = config.shortest_edge != 0;
  if (size->is_object() && size->contains("longest_edge")) settings.refuse("size", "has a longest_edge: not supported");
  if (size->is_object() && size->contains("shortest_edge")) {
    config.shortest_edge = settings.side((*size)["shortest_edge"], "size");
  } else if (size->is_number() && keeps_ratio) {
    config.shortest_edge = settings.side(*size, "size");
  } else {
    config.shortest_edge = 0;
    config.exact = settings.rectangle(*size, "size");
  }
}

void read_filter(const Settings& settings, ProcessorConfig& config) {
  const json* resample = settings.find("resample");
  if (resample == nullptr) return;
  if (*resample == 2) {
    config.filter = ResampleFilter::bilinear;
  } else if (*resample == 3) {
    config.filter = ResampleFilter::bicubic;
  } else {
    settings.refuse("resample", "must be 2 (bilinear) or 3 (bicubic)");
  }
}

void read_crop(const Settings& settings, ProcessorConfig& config) {
  config.crop = settings.flag("do_center_crop", config.crop);
  if (const json* size = settings.find("crop_size")) config.crop_size = settings.rectangle(*size, "crop_size");
  if (config.crop && config.crop_size == ImageSize{}) settings.refuse("crop_size", "is needed by do_center_crop");
}

void read_values(const Settings& settings, ProcessorConfig& config) {
  config.rescale = settings.flag("do_rescale", config.rescale);
  if (const json* factor = settings.find("rescale_factor")) {
    config.rescale_factor = settings.number(*factor, "rescale_factor");
  }
  config.normalize = settings.flag("do_normalize", config.normalize);
  config.mean = settings.channels("image_mean", config.mean);
  config.deviation = settings.channels("image_std", config.deviation);
  for (const double value : config.deviation) {
    if (static_cast<float>(value) == 0) settings.refuse("image_std", "must not be zero");
  }
}

}  // namespace

ProcessorConfig read_processor(const std::filesystem::path& path) {
  const Settings settings(path.string(), read_json_object(path, kMaxConfigBytes));
  ProcessorConfig config = class_defaults(settings);
  config.resize = settings.flag("do_resize", config.resize);
  read_size(settings, config);
  read_filter(settings, config);
  read_crop(settings, config);
  read_values(settings, config);
  if (settings.flag("do_pad", false)) settings.refuse("do_pad", "is true: not supported");
  return config;
}

}  // namespace duet
