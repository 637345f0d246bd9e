// Photos and sentences as inputs of a graph: which files and texts, and the tensors they become.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "cli/command.h"
#include "codegen/graph.h"
#include "frontend/processor.h"

namespace duet {

inline constexpr const char* kPixelInput = "pixel_values";
inline constexpr const char* kTokenInput = "input_ids";

struct RealInput {
  std::vector<std::string> images;
  std::vector<std::string> texts;
  std::filesystem::path processor;
  std::filesystem::path tokenizer;

  void add_to(CLI::App& command);
  bool empty() const { return images.empty() && texts.empty(); }
};

// How the graph's images are preprocessed: --processor, else preprocessor_config.json beside the weights, else what the
// graph's model family uses. Throws Error(usage) when the graph takes no images, Error(input) for bad settings.
ProcessorConfig processor_of(const Graph& graph, const RealInput& real, const std::filesystem::path& weights);
// Throws Error(input) naming the photograph and --processor unless what it becomes is the size the graph takes.
void require_image_size(const Graph& graph, const std::string& path, const ImageSize& becomes);

// f32 (images, 3, height, width) in the size the graph takes. Throws as above, and Error(input) for a bad file.
HostTensor load_images(const Graph& graph, const RealInput& real, const std::filesystem::path& weights);
// i32 (texts, tokens). The tokenizer lies in --tokenizer, else beside the weights. Warns when a text is cut. Throws as
// above, Error(missing) when there is no tokenizer.
HostTensor load_texts(const Graph& graph, const RealInput& real, const std::filesystem::path& weights);
// Rows [first, first + batch) of the first dimension; behind the last row it is repeated.
HostTensor batch_of(const HostTensor& rows, std::int64_t first, std::int64_t batch);

}  // namespace duet
