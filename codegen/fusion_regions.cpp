// Fusion of attention, embeddings, heads and element-wise chains.
#include <array>
#include <vector>

#include "codegen/fusion_passes.h"
#include "templates/head_config.h"
#include "templates/pointwise_config.h"

namespace duet {
namespace {

const Shape& shape_of(const Partition& partition, ValueId value) {
  return partition.graph().values[static_cast<std::size_t>(value)].type.shape;
}

// ---- attention

bool transforms_scores(OpKind op) {
  return op == OpKind::scale || op == OpKind::causal_mask || op == OpKind::padding_mask;
}

// scores ... values in order, or empty.
std::vector<NodeId> attention_chain(const Partition& partition, NodeId scores) {
  std::vector<NodeId> chain{scores};
  const NodeId values = find_attention_values(partition, scores);
  if (values == kNone) return {};
  while (chain.back() != values) chain.push_back(partition.sole_user(partition.node(chain.back()).output));
  return chain;
}

// The kernel scales before it masks, by a positive number, and reads heads of whole 16-byte vectors.
bool fits_attention_kernel(const Partition& partition, const std::vector<NodeId>& chain) {
  const Node& scores = partition.node(chain.front());
  const Node& values = partition.node(chain.back());
  const std::int64_t width = shape_of(partition, scores.inputs[0]).back();
  const std::int64_t head_dim = width / scores.attributes.heads;
  if (head_dim % 8 != 0 || head_dim > 128 || shape_of(partition, values.inputs[1]).back() != width) return false;
  std::array<int, 3> seen{};  // scale, causal_mask, padding_mask: each at most once
  for (const NodeId id : chain) {
    const Node& node = partition.node(id);
    if (!partition.is_primitive(id)) return false;
    if (node.op == OpKind::scale && (seen[0]++ > 0 || node.attributes.value <= 0.0f)) return false;
    if (node.op == OpKind::causal_mask && seen[1]++ > 0) return false;
    if (node.op == OpKind::padding_mask && seen[2]++ > 0) return false;
  }
  return true;
}

std::string attention_name(const Partition& partition, const std::vector<NodeId>& chain) {
  const std::string& scores = partition.node(chain.front()).name;
  const std::string whole = composite_name(partition, chain.front(), chain);
  if (whole != scores) return whole;
  const std::string_view parent = parent_name(scores);
  if (last_name(parent).find("att") != std::string_view::npos) return std::string(parent);
  return parent == scores ? scores : std::string(parent) + ".attention";
}

// ---- chains of optional steps

void append_if(std::vector<NodeId>& chain, NodeId next) {
  if (next != kNone) chain.push_back(next);
}

bool selects_row(const Node& pool) { return pool.attributes.pool != PoolKind::mean; }

// The layer norm before a pooling that selects one row can as well be done after it, on that row alone.
NodeId norm_before_pool(const Partition& partition, NodeId pool) {
  const Node& node = partition.node(pool);
  const NodeId norm = partition.producer(node.inputs[0]);
  if (norm == kNone || !selects_row(node) || !partition.is_primitive(norm)) return kNone;
  return partition.node(norm).op == OpKind::layer_norm && partition.next(norm, OpKind::pool) == pool ? norm : kNone;
}

std::vector<NodeId> head_chain(const Partition& partition, NodeId pool) {
  std::vector<NodeId> chain{pool};
  append_if(chain, partition.next(pool, OpKind::layer_norm));
  const bool norm_after = chain.size() == 2;
  const NodeId product = partition.next(chain.back(), OpKind::matmul);
  append_if(chain, product);
  if (product != kNone) append_if(chain, partition.next(product, OpKind::bias_add));
  append_if(chain, partition.next(chain.back(), OpKind::l2_normalize));
  const NodeId norm = norm_after ? kNone : norm_before_pool(partition, pool);
  if (norm != kNone) chain.insert(chain.begin(), norm);
  return chain;
}

// ---- element-wise chains

NodeId next_element_wise(const Partition& partition, NodeId id) {
  const ValueId value = partition.node(id).output;
  const NodeId user = partition.sole_user(value);
  if (user == kNone || !partition.is_primitive(user) || !is_element_wise(partition.node(user).op)) return kNone;
  const Node& next = partition.node(user);
  const bool reads_twice = next.op == OpKind::add && next.inputs[0] == next.inputs[1];
  return reads_twice ? kNone : user;
}

}  // namespace

NodeId find_attention_values(const Partition& partition, NodeId scores) {
  NodeId id = partition.sole_user(partition.node(scores).output);
  while (id != kNone && transforms_scores(partition.node(id).op)) id = partition.sole_user(partition.node(id).output);
  if (id == kNone || partition.node(id).op != OpKind::softmax) return kNone;
  const ValueId probabilities = partition.node(id).output;
  const NodeId values = partition.sole_user(probabilities);
  if (values == kNone || partition.node(values).op != OpKind::attention_values) return kNone;
  return partition.node(values).inputs[0] == probabilities ? values : kNone;
}

void fuse_attention(Partition& partition) {
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const auto scores = static_cast<NodeId>(i);
    if (partition.node(scores).op != OpKind::attention_scores) continue;
    const std::vector<NodeId> chain = attention_chain(partition, scores);
    if (chain.empty() || !fits_attention_kernel(partition, chain)) continue;
    partition.merge(chain, GroupKind::attention, attention_name(partition, chain));
  }
}

void fuse_embedding(Partition& partition) {
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const auto source = static_cast<NodeId>(i);
    const OpKind op = partition.node(source).op;
    if (op != OpKind::gather && op != OpKind::prepend_token) continue;
    std::vector<NodeId> chain{source};
    append_if(chain, partition.next(source, OpKind::add_position));
    append_if(chain, partition.next(chain.back(), OpKind::layer_norm));
    if (chain.size() > 1) partition.merge(chain, GroupKind::embedding, composite_name(partition, source, chain));
  }
}

void fuse_head(Partition& partition) {
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const auto pool = static_cast<NodeId>(i);
    const Node& node = partition.node(pool);
    if (node.op != OpKind::pool || shape_of(partition, node.inputs[0]).back() > HeadConfig::kMaxColumns) continue;
    const std::vector<NodeId> chain = head_chain(partition, pool);
    if (chain.size() > 1) partition.merge(chain, GroupKind::head, composite_name(partition, pool, chain));
  }
}

void fuse_pointwise(Partition& partition) {
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const auto first = static_cast<NodeId>(i);
    if (!is_element_wise(partition.node(first).op) || !partition.is_primitive(first)) continue;
    std::vector<NodeId> chain{first};
    while (chain.size() < static_cast<std::size_t>(PointwiseOp::kMaxSteps)) {
      const NodeId next = next_element_wise(partition, chain.back());
      if (next == kNone) break;
      chain.push_back(next);
      // An operand that depends on the chain itself ends it.
      if (!partition.merge(chain, GroupKind::pointwise, partition.node(first).name)) break;
    }
  }
}

}  // namespace duet
