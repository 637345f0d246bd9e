// Graphs from YAML (docs/graph-format.md). Composite ops (linear, attention, patch_embed, embedding, pool head ...)
// expand to primitives here; shapes and dtypes are inferred and the result is verified.
#pragma once

#include <filesystem>
#include <string_view>

#include "codegen/graph.h"

namespace duet {

struct GraphOptions {
  int batch = 1;
  Dtype precision = Dtype::f16;  // f16 or bf16
};

// Throw Error(input): `graphs/clip.yaml:41: node 'qkv': unknown input 'ln_9'`. Bounded in time and memory on any input.
Graph load_graph(const std::filesystem::path& path, const GraphOptions& options);
Graph parse_graph(std::string_view yaml, std::string_view file_name, const GraphOptions& options);

}  // namespace duet
