// Fusion around matrix products: packing siblings, folding the norm before, absorbing the epilogue after.
#include <algorithm>
#include <array>
#include <vector>

#include "codegen/fusion_passes.h"

namespace duet {
namespace {

const Value& value_of(const Partition& partition, ValueId value) {
  return partition.graph().values[static_cast<std::size_t>(value)];
}

bool is_matrix(const Node& matmul) { return matmul.weight("weight")->source.shape.size() == 2; }

int matmul_count(const Partition& partition, const std::vector<NodeId>& nodes) {
  return static_cast<int>(
      std::count_if(nodes.begin(), nodes.end(), [&](NodeId id) { return partition.node(id).op == OpKind::matmul; }));
}

// A product that rules may still add to: alone, or made by an earlier rule of this file.
bool is_open_product(const Partition& partition, NodeId matmul) {
  return partition.is_primitive(matmul) || partition.kind(matmul) == GroupKind::product;
}

// Adds a node to a product's group. A group of several products keeps the name that packing gave it.
bool join_product(Partition& partition, NodeId matmul, NodeId node) {
  std::vector<NodeId> nodes = partition.members(matmul);
  const bool packed = matmul_count(partition, nodes) > 1;
  nodes.push_back(node);
  const std::string name = packed ? partition.name(matmul) : composite_name(partition, matmul, nodes);
  return partition.merge(nodes, GroupKind::product, name);
}

// ---- packing

// matmul [bias_add] that makes what attention reads, or nothing.
struct Projection {
  char role = 0;  // q, k or v
  NodeId matmul = kNone;
  NodeId bias = kNone;
};

bool feeds_attention_alone(const Partition& partition, ValueId value) {
  if (partition.is_output(value)) return false;
  const std::vector<NodeId>& uses = partition.uses(value);
  return std::all_of(uses.begin(), uses.end(), [&](NodeId id) {
    const Node& user = partition.node(id);
    return user.op == OpKind::attention_scores || (user.op == OpKind::attention_values && user.inputs[1] == value);
  });
}

Projection find_projection(const Partition& partition, char role, ValueId value) {
  Projection found{.role = role};
  NodeId id = partition.producer(value);
  if (id == kNone || !feeds_attention_alone(partition, value)) return {};
  if (partition.node(id).op == OpKind::bias_add && partition.is_primitive(id)) {
    found.bias = id;
    const ValueId before = partition.node(id).inputs[0];
    if (partition.sole_user(before) != id) return {};
    id = partition.producer(before);
  }
  if (id == kNone || partition.node(id).op != OpKind::matmul || !partition.is_primitive(id)) return {};
  const bool whole_vectors = value_of(partition, value).type.shape.back() % 8 == 0;
  if (!whole_vectors || !is_matrix(partition.node(id))) return {};
  found.matmul = id;
  return found;
}

void pack(Partition& partition, const std::vector<Projection>& siblings) {
  std::string roles;
  std::vector<NodeId> nodes;
  for (const Projection& projection : siblings) {
    if (std::find(nodes.begin(), nodes.end(), projection.matmul) != nodes.end()) return;  // one projection, two roles
    roles += projection.role;
    nodes.push_back(projection.matmul);
    if (projection.bias != kNone) nodes.push_back(projection.bias);
  }
  const std::string first = composite_name(partition, siblings.front().matmul, nodes);
  const std::string_view parent = parent_name(first);
  const std::string name = parent == first ? first + "." + roles : std::string(parent) + "." + roles;
  partition.merge(nodes, GroupKind::product, name);
}

// ---- epilogue

// Bias, then activation, then addition: a node's place in the order that the product's epilogue keeps; 0 for others.
int epilogue_stage(const Node& node) {
  if (node.op == OpKind::bias_add) return 1;
  if (is_activation(node.op)) return 2;
  if (node.op == OpKind::add_position) return 3;
  return node.op == OpKind::add && node.inputs[0] != node.inputs[1] ? 3 : 0;
}

void absorb_epilogue(Partition& partition, NodeId matmul) {
  int stage = 0;
  for (NodeId last = matmul; stage < 3;) {
    const NodeId user = partition.sole_user(partition.node(last).output);
    if (user == kNone) return;
    const int next_stage = epilogue_stage(partition.node(user));
    if (next_stage <= stage) return;
    const bool inside = partition.group_of(user) == partition.group_of(matmul);
    if (!inside && (!partition.is_primitive(user) || !join_product(partition, matmul, user))) return;
    stage = next_stage;
    last = user;
  }
}

// ---- layer norm

// The product that alone uses a norm's rows, by its first matmul; or kNone.
NodeId only_product(const Partition& partition, NodeId norm) {
  const ValueId rows = partition.node(norm).output;
  const std::vector<NodeId>& uses = partition.uses(rows);
  if (uses.empty() || partition.is_output(rows)) return kNone;
  for (const NodeId id : uses) {
    const Node& user = partition.node(id);
    if (user.op != OpKind::matmul || !is_matrix(user) || !is_open_product(partition, id)) return kNone;
    if (partition.group_of(id) != partition.group_of(uses.front())) return kNone;
  }
  return uses.front();
}

}  // namespace

void fuse_qkv(Partition& partition) {
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const auto scores = static_cast<NodeId>(i);
    if (partition.node(scores).op != OpKind::attention_scores) continue;
    const NodeId values = find_attention_values(partition, scores);
    if (values == kNone) continue;
    const std::array<ValueId, 3> operands{partition.node(scores).inputs[0], partition.node(scores).inputs[1],
                                          partition.node(values).inputs[1]};
    std::vector<std::vector<Projection>> by_input;
    for (std::size_t j = 0; j < operands.size(); ++j) {
      const Projection projection = find_projection(partition, "qkv"[j], operands[j]);
      if (projection.matmul == kNone) continue;
      const ValueId input = partition.node(projection.matmul).inputs[0];
      const auto same = std::find_if(by_input.begin(), by_input.end(), [&](const std::vector<Projection>& siblings) {
        return partition.node(siblings.front().matmul).inputs[0] == input;
      });
      if (same == by_input.end())
        by_input.push_back({projection});
      else
        same->push_back(projection);
    }
    for (const std::vector<Projection>& siblings : by_input)
      if (siblings.size() > 1) pack(partition, siblings);
  }
}

void fold_layer_norm(Partition& partition) {
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const auto norm = static_cast<NodeId>(i);
    if (partition.node(norm).op != OpKind::layer_norm || !partition.is_primitive(norm)) continue;
    const NodeId matmul = only_product(partition, norm);
    if (matmul != kNone) join_product(partition, matmul, norm);
  }
}

void fuse_epilogue(Partition& partition) {
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const auto matmul = static_cast<NodeId>(i);
    if (partition.node(matmul).op != OpKind::matmul || !is_open_product(partition, matmul)) continue;
    if (matmul_count(partition, partition.members(matmul)) == 1) absorb_epilogue(partition, matmul);
  }
}

// Copies into shared memory move 4 bytes or more, so that lines of an odd length cannot be read in place.
void fuse_patches(Partition& partition) {
  for (std::size_t i = 0; i < partition.graph().nodes.size(); ++i) {
    const auto patches = static_cast<NodeId>(i);
    const Node& node = partition.node(patches);
    if (node.op != OpKind::patch_extract) continue;
    const std::int64_t width = value_of(partition, node.inputs[0]).type.shape.back();
    const NodeId matmul = partition.sole_user(node.output);
    if (matmul == kNone || partition.node(matmul).op != OpKind::matmul || !is_open_product(partition, matmul)) continue;
    if (node.attributes.patch % 2 == 0 && width % 2 == 0) join_product(partition, matmul, patches);
  }
}

}  // namespace duet
