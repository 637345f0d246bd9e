// Lowering: each fused group becomes a kernel spec and the list of what its pointers mean.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/weight_recipe.h"
#include "codegen/fusion.h"
#include "codegen/kernel_spec.h"

namespace duet {

enum class OperandKind : int { value, weight, workspace, counters };

// One pointer of a kernel's parameter block.
struct Operand {
  std::uint32_t param_offset = 0;  // offsetof in the family's Params
  OperandKind kind = OperandKind::value;
  ValueId value = kNone;  // OperandKind::value
  bool written = false;   // the kernel writes it
  WeightRecipe recipe;    // OperandKind::weight
};

// Where a value lies: every value has one row-major buffer, or a column range of a buffer shared with its siblings
// (packed QKV). Rows are the product of all dimensions but the last; attention scores have rows (batch, head, query).
// A pointer to a value is its buffer's address plus value_offset_bytes().
struct ValueLayout {
  int buffer = kNone;              // index into Lowering::buffers
  std::int64_t column_offset = 0;  // elements
  std::int64_t ld = 0;             // elements between rows
};

// Rows of `ld` elements. Floating-point rows are padded to a multiple of 8 elements (zeros); images and integers are
// not.
struct BufferInfo {
  std::string name;
  Dtype dtype = Dtype::f16;
  std::int64_t rows = 0;
  std::int64_t ld = 0;
  std::int64_t bytes = 0;
  ValueId graph_input = kNone;   // set when the buffer is an input or output of the graph
  ValueId graph_output = kNone;  // kNone too when several outputs are packed into it (a group taken out of its graph)
};

struct LoweredGroup {
  FusedGroup group;
  KernelSpec spec;
  std::vector<Operand> operands;
  double flops = 0;
  double bytes = 0;  // least traffic: inputs, weights and outputs once
  double weight_bytes = 0;
};

struct Lowering {
  std::vector<LoweredGroup> groups;
  std::vector<ValueLayout> layouts;  // by ValueId; buffer kNone for values inside a kernel
  std::vector<BufferInfo> buffers;
};

// Throws Error(input) naming the group when no kernel family computes it (an op on an unsupported shape).
Lowering lower(const Graph& graph, const std::vector<FusedGroup>& groups);

// Bytes from the start of its buffer to where a value begins.
std::int64_t value_offset_bytes(const Graph& graph, const Lowering& lowering, ValueId value);

}  // namespace duet
