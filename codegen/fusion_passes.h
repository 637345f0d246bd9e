// The fusion rules, one function each, over a partition of the graph's nodes. fusion.cpp runs them in this order.
#pragma once

#include <string>
#include <string_view>

#include "codegen/partition.h"

namespace duet {

// fusion_regions.cpp: runs of nodes with a kernel family of their own
void fuse_attention(Partition& partition);
void fuse_embedding(Partition& partition);
void fuse_head(Partition& partition);
void fuse_pointwise(Partition& partition);

// fusion_products.cpp: what joins a matrix product
void fuse_qkv(Partition& partition);
void fold_layer_norm(Partition& partition);
void fuse_epilogue(Partition& partition);
void fuse_patches(Partition& partition);

bool is_activation(OpKind op);
// One result element from one element of the first input: what the pointwise family chains.
bool is_element_wise(OpKind op);
// The softmax over a node's scores: what turns `scores` (an attention_scores node) into the first input of
// attention_values, or kNone when the nodes between are not scale, masks and one softmax, each used once.
NodeId find_attention_values(const Partition& partition, NodeId scores);

// "vision.layers.0.fc1.matmul" -> "vision.layers.0.fc1"; a name without a dot stays.
std::string_view parent_name(std::string_view name);
std::string_view last_name(std::string_view name);
// The name of the composite that `anchor` was expanded from when every node of it is among `nodes`; else the node's
// own.
std::string composite_name(const Partition& partition, NodeId anchor, std::span<const NodeId> nodes);

}  // namespace duet
