#include "cli/real_input.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "frontend/processor.h"
#include "frontend/tokenizer.h"

namespace duet {
namespace {

const Shape& input_shape(const Graph& graph, std::string_view name, std::string_view flag, std::size_t rank) {
  for (const ValueId id : graph.inputs) {
    const Value& value = graph.values[static_cast<std::size_t>(id)];
    if (value.name == name && value.type.shape.size() == rank) return value.type.shape;
  }
  fail(ErrorKind::usage, "{}: '{}' has no input '{}'; give its inputs by --input", flag, graph.name, name);
}

std::filesystem::path weights_folder(const std::filesystem::path& weights) {
  return std::filesystem::is_directory(weights) ? weights : weights.parent_path();
}

ProcessorConfig default_processor(const Graph& graph, std::int64_t width, std::int64_t height) {
  ProcessorConfig config = clip_processor(std::max(width, height));
  if (graph.name.starts_with("siglip")) config = siglip_processor(width);
  (config.crop ? config.crop_size : config.exact) = {width, height};
  return config;
}

}  // namespace

void RealInput::add_to(CLI::App& command) {
  command.add_option("--image", images, "A JPEG or PNG file, once per image")->group("Images and texts");
  command.add_option("--text", texts, "A sentence, once per text")->group("Images and texts");
  command.add_option("--processor", processor, "preprocessor_config.json (default: beside the weights, else built in)")
      ->group("Images and texts");
  command.add_option("--tokenizer", tokenizer, "Folder of the tokenizer's files (default: beside the weights)")
      ->group("Images and texts");
}

ProcessorConfig processor_of(const Graph& graph, const RealInput& real, const std::filesystem::path& weights) {
  const Shape& shape = input_shape(graph, kPixelInput, "--image", 4);
  if (!real.processor.empty()) return read_processor(real.processor);
  const std::filesystem::path beside = weights_folder(weights) / "preprocessor_config.json";
  if (!weights.empty() && std::filesystem::exists(beside)) return read_processor(beside);
  return default_processor(graph, shape[3], shape[2]);
}

void require_image_size(const Graph& graph, const std::string& path, const ImageSize& becomes) {
  const Shape& shape = input_shape(graph, kPixelInput, "--image", 4);
  if (shape[1] == 3 && shape[2] == becomes.height && shape[3] == becomes.width) return;
  fail(ErrorKind::input,
       "{}: the processor gives 3 x {} x {}, '{}' takes {}; name the model's own settings by --processor", path,
       becomes.height, becomes.width, graph.name, shape_text(shape));
}

HostTensor load_images(const Graph& graph, const RealInput& real, const std::filesystem::path& weights) {
  const Shape& shape = input_shape(graph, kPixelInput, "--image", 4);
  const ProcessorConfig config = processor_of(graph, real, weights);
  HostTensor pixels = HostTensor::zeros(Dtype::f32, {0, shape[1], shape[2], shape[3]});
  for (const std::string& path : real.images) {
    const HostTensor one = preprocess(read_image(path), config);
    require_image_size(graph, path, {one.shape[3], one.shape[2]});
    pixels.bytes.insert(pixels.bytes.end(), one.bytes.begin(), one.bytes.end());
    ++pixels.shape[0];
  }
  return pixels;
}

HostTensor load_texts(const Graph& graph, const RealInput& real, const std::filesystem::path& weights) {
  const Shape& shape = input_shape(graph, kTokenInput, "--text", 2);
  if (real.tokenizer.empty() && weights.empty()) {
    fail(ErrorKind::usage, "--text needs a tokenizer: name its folder by --tokenizer, or a checkpoint by --weights");
  }
  const auto tokenizer = open_tokenizer(real.tokenizer.empty() ? weights_folder(weights) : real.tokenizer);
  std::vector<std::int32_t> ids;
  for (const std::string& text : real.texts) {
    const TokenizedText encoded = tokenizer->encode(text, shape[1]);
    if (encoded.truncated) warn("a text is cut to {} tokens: {:.40}...", shape[1], text);
    ids.insert(ids.end(), encoded.ids.begin(), encoded.ids.end());
  }
  return HostTensor::from_ints({static_cast<std::int64_t>(real.texts.size()), shape[1]}, ids);
}

HostTensor batch_of(const HostTensor& rows, std::int64_t first, std::int64_t batch) {
  Shape shape = rows.shape;
  shape[0] = batch;
  HostTensor out = HostTensor::zeros(rows.dtype, shape);
  const std::size_t row_bytes = rows.bytes.size() / static_cast<std::size_t>(rows.shape[0]);
  for (std::int64_t i = 0; i < batch; ++i) {
    const auto row = static_cast<std::size_t>(std::min(first + i, rows.shape[0] - 1));
    std::memcpy(out.bytes.data() + static_cast<std::size_t>(i) * row_bytes, rows.bytes.data() + row * row_bytes,
                row_bytes);
  }
  return out;
}

}  // namespace duet
