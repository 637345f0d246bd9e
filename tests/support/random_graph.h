// Small valid dual graphs drawn from a seed, as YAML: depths, widths, heads, masks, pooling, activations and odd sizes
// vary. For properties that must hold for every graph: fusion keeps results, plans equal the reference, and so on.
#pragma once

#include <cstdint>
#include <string>

namespace duet::testing {

// Equal seeds give equal text on every machine. Sizes keep to what fused kernels accept: head_dim a multiple of 8,
// even patches and image widths; everything else may be ragged.
std::string random_graph_yaml(std::uint64_t seed);

}  // namespace duet::testing
