// Graph YAML of a hostile author; what is accepted is also fused and lowered, as `duet check` and `duet generate` do.
#include "codegen/fusion.h"
#include "codegen/graph_yaml.h"
#include "codegen/lower.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  duet::expect_value_or_refusal([&] {
    const duet::Graph graph = duet::parse_graph(duet::text_of(data, size), "fuzzed.yaml", {});
    const duet::FusedGraph fused = duet::fuse_graph(graph, duet::FusionRules{}, 0);
    duet::lower(fused.graph, fused.groups);
    duet::lower(graph, duet::fuse(graph, duet::FusionRules::none()));
  });
  return 0;
}
