// What the lowering of one group works on: its nodes and values, and the operands it fills in. Internal to codegen.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "codegen/lower.h"

namespace duet {

// A value as a matrix in memory. All fit an int: the op table bounds them.
struct MatrixView {
  int rows = 0, columns = 0, ld = 0;
};

class GroupLowering {
 public:
  GroupLowering(const Graph& graph, const std::vector<ValueLayout>& layouts, const FusedGroup& group)
      : graph_(graph), layouts_(layouts), group_(group) {}

  const Graph& graph() const { return graph_; }
  const FusedGroup& group() const { return group_; }
  Dtype precision() const { return graph_.precision; }
  const Node& node(std::size_t index) const { return graph_.nodes[static_cast<std::size_t>(group_.nodes[index])]; }
  std::vector<const Node*> nodes() const;
  const Node* find(OpKind op) const;                 // the first of its kind, or null
  const Node* consumer_inside(ValueId value) const;  // the node of this group that reads a value first, or null

  const TensorType& type(ValueId value) const { return graph_.values[static_cast<std::size_t>(value)].type; }
  int extent(ValueId value, std::size_t dimension) const;
  MatrixView matrix(ValueId value) const;  // of a value in memory

  // Operands, by their pointers' offsets in the parameter block.
  void read(std::size_t param_offset, ValueId value) { add_value(param_offset, value, false); }
  void write(std::size_t param_offset, ValueId value) { add_value(param_offset, value, true); }
  void weight(std::size_t param_offset, WeightRecipe recipe);
  void scratch(std::size_t param_offset, OperandKind kind);
  std::vector<Operand> take_operands() { return std::move(operands_); }

  template <typename... Args>
  [[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::input, "graph '{}': group '{}': {}", graph_.name, group_.name,
         fmt::format(format, std::forward<Args>(args)...));
  }

  // ---- weight recipes, named after the group
  WeightRecipe matrix_recipe(std::string_view role, std::vector<WeightSource> sources) const;
  WeightRecipe token_recipe(std::string_view role, const WeightSource& source) const;
  WeightRecipe vector_recipe(std::string_view role, std::vector<WeightSource> sources) const;
  WeightRecipe vector_recipe(const Node& node, std::string_view role) const;
  WeightRecipe patch_recipe(std::string_view role, const WeightSource& source) const;
  WeightRecipe exp_recipe(std::string_view role, const WeightSource& source) const;

 private:
  void add_value(std::size_t param_offset, ValueId value, bool written);
  WeightRecipe named_recipe(std::string_view role, RecipeKind kind, std::vector<WeightSource> sources,
                            Dtype dtype) const;

  const Graph& graph_;
  const std::vector<ValueLayout>& layouts_;
  const FusedGroup& group_;
  std::vector<Operand> operands_;
};

// One function a family; each checks that the group has the family's form.
GemmSpec lower_product(GroupLowering& lowering);            // lower_gemm.cpp
GemmSpec lower_attention_product(GroupLowering& lowering);  // lower_attention.cpp: scores or values alone
AttentionSpec lower_attention(GroupLowering& lowering);
NormSpec lower_norm(GroupLowering& lowering);            // lower_rows.cpp
PointwiseSpec lower_pointwise(GroupLowering& lowering);  // lower_pointwise.cpp
EmbeddingSpec lower_embedding(GroupLowering& lowering);  // lower_embedding.cpp
HeadSpec lower_head(GroupLowering& lowering);            // lower_head.cpp
SimilaritySpec lower_similarity(GroupLowering& lowering);

// Elements between rows of a floating-point matrix: kernels move 16 bytes at a time.
std::int64_t padded_columns(std::int64_t columns);
const WeightSource& weight_source(const Node& node, std::string_view role);
Activation activation_of(OpKind op);  // none for other ops
// What a packed product gives to the outside: its own result, or that of the bias_add in the group that takes it.
ValueId product_result(const Graph& graph, const FusedGroup& group, NodeId matmul);

}  // namespace duet
