// The rows a tower starts from: gather | prepend_token | broadcast_token | patch_extract, [add_position] [layer_norm]
// [row_sums].
#include <cstddef>

#include "codegen/lower_group.h"

namespace duet {
namespace {

void set_tokens(GroupLowering& lowering, const Node& node, EmbeddingSpec& spec) {
  WeightRecipe table = lowering.matrix_recipe("table", {weight_source(node, "table")});
  spec.op.source = EmbeddingSource::tokens;
  spec.params.vocabulary = static_cast<int>(table.rows);
  lowering.read(offsetof(EmbeddingParams, ids), node.inputs[0]);
  lowering.weight(offsetof(EmbeddingParams, table), std::move(table));
}

// A class token before a sequence, or alone (a learned probe).
void set_sequence(GroupLowering& lowering, const Node& node, EmbeddingSpec& spec) {
  const std::string_view role = node.op == OpKind::prepend_token ? "class_token" : "token";
  spec.op.source = EmbeddingSource::sequence;
  spec.op.class_token = true;
  if (!node.inputs.empty()) {
    if (lowering.matrix(node.inputs[0]).ld != spec.params.ld)
      lowering.unsupported("the sequence's rows are {} elements apart, the result's {}",
                           lowering.matrix(node.inputs[0]).ld, spec.params.ld);
    lowering.read(offsetof(EmbeddingParams, x), node.inputs[0]);
  }
  lowering.weight(offsetof(EmbeddingParams, class_token), lowering.token_recipe(role, weight_source(node, role)));
}

void set_patches(GroupLowering& lowering, const Node& node, EmbeddingSpec& spec) {
  const ValueId image = node.inputs[0];
  spec.op.source = EmbeddingSource::patches;
  spec.params.channels = lowering.extent(image, 1);
  spec.params.image_h = lowering.extent(image, 2);
  spec.params.image_w = lowering.extent(image, 3);
  spec.params.patch = node.attributes.patch;
  lowering.read(offsetof(EmbeddingParams, x), image);
}

void set_source(GroupLowering& lowering, const Node& node, EmbeddingSpec& spec) {
  switch (node.op) {
    case OpKind::gather:
      return set_tokens(lowering, node, spec);
    case OpKind::prepend_token:
    case OpKind::broadcast_token:
      return set_sequence(lowering, node, spec);
    case OpKind::patch_extract:
      return set_patches(lowering, node, spec);
    default:
      lowering.unsupported("an embedding cannot start with '{}'", node.name);
  }
}

void set_step(GroupLowering& lowering, const Node& node, EmbeddingSpec& spec) {
  if (node.op == OpKind::add_position) {
    WeightRecipe table = lowering.matrix_recipe("position", {weight_source(node, "position")});
    spec.op.position = true;
    lowering.weight(offsetof(EmbeddingParams, position), std::move(table));
  } else if (node.op == OpKind::layer_norm) {
    spec.op.layer_norm = true;
    spec.params.epsilon = node.attributes.epsilon;
    lowering.weight(offsetof(EmbeddingParams, gamma), lowering.vector_recipe(node, "gamma"));
    lowering.weight(offsetof(EmbeddingParams, beta), lowering.vector_recipe(node, "beta"));
  } else if (node.op == OpKind::row_sums) {
    spec.op.writes_row_sums = true;
    lowering.write(offsetof(EmbeddingParams, row_sums_out), node.output);
  } else {
    lowering.unsupported("an embedding does not take in '{}'", node.name);
  }
}

}  // namespace

EmbeddingSpec lower_embedding(GroupLowering& lowering) {
  const std::vector<const Node*> nodes = lowering.nodes();
  const Node& last = *nodes.back();
  const ValueId out = last.op == OpKind::row_sums ? last.inputs[0] : last.output;
  EmbeddingSpec spec;
  spec.op.dtype = lowering.precision();
  spec.params.batch = lowering.extent(out, 0);
  spec.params.tokens = lowering.extent(out, 1);
  spec.params.columns = lowering.extent(out, 2);
  spec.params.ld = lowering.matrix(out).ld;
  set_source(lowering, *nodes.front(), spec);
  for (std::size_t i = 1; i < nodes.size(); ++i) set_step(lowering, *nodes[i], spec);
  lowering.write(offsetof(EmbeddingParams, out), out);
  return spec;
}

}  // namespace duet
