#include "codegen/parse_problem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "codegen/fusion.h"
#include "codegen/graph_yaml.h"
#include "codegen/lower.h"
#include "tests/support/error_of.h"

namespace duet {
namespace {

const std::filesystem::path kGraphs = std::filesystem::path(DUET_SOURCE_DIR) / "graphs";

std::set<std::string> shipped_problems() {
  std::set<std::string> problems;
  for (const auto& entry : std::filesystem::directory_iterator(kGraphs))
    for (const FusionRules& rules : {FusionRules{}, FusionRules::none()})
      for (const Dtype precision : {Dtype::f16, Dtype::bf16}) {
        const FusedGraph fused = fuse_graph(load_graph(entry.path(), {.batch = 3, .precision = precision}), rules, 0);
        for (const LoweredGroup& group : lower(fused.graph, fused.groups).groups)
          problems.insert(problem_text(group.spec));
      }
  return problems;
}

// With spaces, and as the name of a recorded space has it.
TEST(ParseProblem, ReadsEveryProblemOfTheShippedModels) {
  std::set<std::string_view> families;
  for (const std::string& text : shipped_problems()) {
    std::string name = text;
    std::replace(name.begin(), name.end(), ' ', '_');
    const KernelSpec spec = parse_problem(text);
    families.insert(family_name(spec));
    EXPECT_EQ(problem_text(spec), text);
    EXPECT_EQ(problem_text(parse_problem(name)), text);
  }
  EXPECT_EQ(families.size(), std::variant_size_v<KernelSpec>);
}

TEST(ParseProblem, FillsInThePackedStrides) {
  const auto spec = std::get<GemmSpec>(parse_problem("gemm f16 m=50 n=2301 k=765 layer_norm bias gelu_tanh residual"));
  EXPECT_EQ(spec.params.lda, 768);
  EXPECT_EQ(spec.params.ldc, 2304);
  EXPECT_EQ(spec.params.residual_rows, 50);
  EXPECT_EQ(spec.op.activation, Activation::gelu_tanh);
}

TEST(ParseProblem, ARefusalNamesTheTextAndThePlace) {
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "a kernel family expected at ''"},
           {"conv f16 m=1", "a kernel family expected at 'conv f16 m=1'"},
           {"gemm f17 m=1 n=1 k=1", "a data type expected at 'f17 m=1 n=1 k=1'"},
           {"gemm f16 m=0 n=1 k=1", "a size from 1 to 16777216 expected at '0 n=1 k=1'"},
           {"gemm f16 m=99999999999 n=1 k=1", "a size from 1 to 16777216"},
           {"gemm f16 m=5", "n expected at ''"},
           {"gemm f16 m=5x n=1 k=1", "m expected at 'x n=1 k=1'"},
           {"gemm f16 m=5 n=1 k=1 biased", "the end expected at 'biased'"},
           {"head f16 to f32 batch=1 tokens=1 columns=8 pool=sum", "pool expected at 'pool=sum'"},
           {"embedding f16 patches batch=1 tokens=4 columns=8 patches=16 of 3x", "a size from 1"}}) {
    const std::string error = error_of(ErrorKind::input, [&text = text] { parse_problem(text); });
    EXPECT_TRUE(error.starts_with("problem '" + text.substr(0, 50))) << error;
    EXPECT_NE(error.find(message), std::string::npos) << error;
  }
}

}  // namespace
}  // namespace duet
