// Composite operations of the YAML (linear, attention, patch_embed ...) written out as primitives.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/graph.h"
#include "codegen/graph_fields.h"

namespace duet {

inline constexpr std::size_t kMaxNodes = 20000;

// One node of the YAML in its scope.
struct Composite {
  std::string name;  // complete: "vision.layers.0.q"
  std::string op;
  const Fields& fields;
  std::function<ValueId(const std::string& name, int line)> resolve;  // a value by the name that the file uses
};

// Appends the primitives and returns the result, whose value bears the composite's name. Throws Error(input) with file,
// line and node.
ValueId expand_composite(Graph& graph, const Composite& composite);

std::vector<std::string_view> composite_op_names();
// The keys that an op understands besides name and op. Empty when the op is unknown.
std::span<const std::string_view> composite_keys(std::string_view op);

}  // namespace duet
