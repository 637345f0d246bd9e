#include "codegen/lower_group.h"

#include <limits>
#include <numeric>

namespace duet {
namespace {

// A source seen as (rows, product of the rest).
std::int64_t source_rows(const WeightSource& source) { return source.row_end - source.row_begin; }
std::int64_t source_columns(const WeightSource& source) {
  const Shape& shape = source.shape;
  return shape.empty() ? 1 : element_count(Shape(shape.begin() + 1, shape.end()));
}

int checked_int(std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<int>::max())
    fail(ErrorKind::input, "a tensor of {} rows or columns is too large: kernels count in 32 bits", value);
  return static_cast<int>(value);
}

}  // namespace

std::int64_t padded_columns(std::int64_t columns) { return (columns + 7) / 8 * 8; }

const WeightSource& weight_source(const Node& node, std::string_view role) {
  const WeightRef* found = node.weight(role);
  if (found == nullptr) fail(ErrorKind::internal, "node '{}' has no weight '{}'", node.name, role);
  return found->source;
}

Activation activation_of(OpKind op) {
  switch (op) {
    case OpKind::gelu:
      return Activation::gelu;
    case OpKind::gelu_tanh:
      return Activation::gelu_tanh;
    case OpKind::quick_gelu:
      return Activation::quick_gelu;
    case OpKind::silu:
      return Activation::silu;
    default:
      return Activation::none;
  }
}

ValueId product_result(const Graph& graph, const FusedGroup& group, NodeId matmul) {
  const ValueId product = graph.nodes[static_cast<std::size_t>(matmul)].output;
  for (const NodeId id : group.nodes) {
    const Node& node = graph.nodes[static_cast<std::size_t>(id)];
    if (node.op == OpKind::bias_add && node.inputs[0] == product) return node.output;
  }
  return product;
}

std::vector<const Node*> GroupLowering::nodes() const {
  std::vector<const Node*> found;
  for (std::size_t i = 0; i < group_.nodes.size(); ++i) found.push_back(&node(i));
  return found;
}

const Node* GroupLowering::find(OpKind op) const {
  for (const Node* candidate : nodes())
    if (candidate->op == op) return candidate;
  return nullptr;
}

const Node* GroupLowering::consumer_inside(ValueId value) const {
  for (const Node* candidate : nodes())
    for (const ValueId input : candidate->inputs)
      if (input == value) return candidate;
  return nullptr;
}

int GroupLowering::extent(ValueId value, std::size_t dimension) const {
  return checked_int(type(value).shape.at(dimension));
}

MatrixView GroupLowering::matrix(ValueId value) const {
  const Shape& shape = type(value).shape;
  const ValueLayout& layout = layouts_[static_cast<std::size_t>(value)];
  if (layout.buffer == kNone)
    fail(ErrorKind::internal, "group '{}' needs value '{}', which has no buffer", group_.name,
         graph_.values[static_cast<std::size_t>(value)].name);
  const std::int64_t rows = element_count(Shape(shape.begin(), shape.end() - 1));
  return {checked_int(rows), checked_int(shape.back()), checked_int(layout.ld)};
}

void GroupLowering::add_value(std::size_t param_offset, ValueId value, bool written) {
  operands_.push_back({.param_offset = static_cast<std::uint32_t>(param_offset),
                       .kind = OperandKind::value,
                       .value = value,
                       .written = written,
                       .recipe = {}});
}

void GroupLowering::weight(std::size_t param_offset, WeightRecipe recipe) {
  operands_.push_back({.param_offset = static_cast<std::uint32_t>(param_offset),
                       .kind = OperandKind::weight,
                       .value = kNone,
                       .written = false,
                       .recipe = std::move(recipe)});
}

void GroupLowering::scratch(std::size_t param_offset, OperandKind kind) {
  operands_.push_back({.param_offset = static_cast<std::uint32_t>(param_offset),
                       .kind = kind,
                       .value = kNone,
                       .written = true,
                       .recipe = {}});
}

WeightRecipe GroupLowering::named_recipe(std::string_view role, RecipeKind kind, std::vector<WeightSource> sources,
                                         Dtype dtype) const {
  WeightRecipe recipe{.name = fmt::format("{}.{}", group_.name, role), .kind = kind, .sources = std::move(sources)};
  recipe.dtype = dtype;
  return recipe;
}

WeightRecipe GroupLowering::matrix_recipe(std::string_view role, std::vector<WeightSource> sources) const {
  WeightRecipe recipe = named_recipe(role, RecipeKind::matrix, std::move(sources), precision());
  for (const WeightSource& source : recipe.sources) recipe.rows += source_rows(source);
  recipe.columns = source_columns(recipe.sources.front());
  recipe.ld = padded_columns(recipe.columns);
  return recipe;
}

// Checkpoints keep a token as (width) or (1, 1, width); either way its elements come to lie side by side.
WeightRecipe GroupLowering::token_recipe(std::string_view role, const WeightSource& source) const {
  WeightRecipe recipe = matrix_recipe(role, {source});
  if (recipe.columns == 1) recipe.ld = 1;
  return recipe;
}

WeightRecipe GroupLowering::vector_recipe(std::string_view role, std::vector<WeightSource> sources) const {
  WeightRecipe recipe = named_recipe(role, RecipeKind::vector, std::move(sources), Dtype::f32);
  for (const WeightSource& source : recipe.sources) recipe.rows += source_rows(source) * source_columns(source);
  return recipe;
}

WeightRecipe GroupLowering::vector_recipe(const Node& node, std::string_view role) const {
  return vector_recipe(role, {weight_source(node, role)});
}

WeightRecipe GroupLowering::patch_recipe(std::string_view role, const WeightSource& source) const {
  WeightRecipe recipe = named_recipe(role, RecipeKind::patches, {source}, precision());
  const Shape& shape = source.shape;  // (width, channels, patch, patch)
  recipe.rows = source_rows(source);
  recipe.columns = shape[1] * shape[2] * padded_columns(shape[3]);
  recipe.ld = recipe.columns;
  return recipe;
}

WeightRecipe GroupLowering::exp_recipe(std::string_view role, const WeightSource& source) const {
  WeightRecipe recipe = named_recipe(role, RecipeKind::exp_scalar, {source}, Dtype::f32);
  recipe.rows = 1;
  return recipe;
}

}  // namespace duet
