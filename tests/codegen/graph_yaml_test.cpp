#include "codegen/graph_yaml.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "codegen/yaml_document.h"
#include "tests/support/random_graph.h"

namespace duet {
namespace {

// The message of the refusal, which must be one line of kind input.
std::string refusal(std::string_view yaml, const GraphOptions& options = {}) {
  try {
    parse_graph(yaml, "g.yaml", options);
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::input) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 600u);
    return message;
  }
  return "accepted";
}

// ---- one valid document, and edits that break it in one place

constexpr std::string_view kValid = R"(duet: 1
name: small
parameters:
  width: 32
  eps: 1e-5
  half: 0.5
inputs:
  image: {dtype: float, shape: [B, 3, 16, 24]}
  ids: {dtype: i32, shape: [B, 7]}
  mask: {dtype: i32, shape: [B, 7]}
towers:
  vision:
    weights: v
    nodes:
      - {name: embed, op: patch_embed, input: image, patch: 8, width: width, weights: patch, class_token: cls, position: pos}
      - repeat: layers
        count: 2
        index: i
        carry: x
        from: embed
        yield: out
        weights: layers.{i}
        body:
          - {name: norm, op: layer_norm, input: x, epsilon: eps, weights: norm}
          - {name: fc1, op: linear, input: norm, width: 50, weights: fc1}
          - {name: act, op: gelu, input: fc1}
          - {name: fc2, op: linear, input: act, width: width, weights: fc2}
          - {name: out, op: add, left: x, right: fc2}
      - {name: pooled, op: pool, input: layers, kind: class}
      - {name: unit, op: l2_normalize, input: pooled}
  text:
    nodes:
      - {name: embed, op: embedding, input: ids, vocabulary: 99, width: width, table: table}
      - {name: q, op: linear, input: embed, width: width, weight: "packed[0:32 of 96]", bias_weight: "packed_bias[0:32 of 96]"}
      - {name: att, op: attention, q: q, k: embed, v: embed, heads: 4, mask: causal_padding, mask_input: mask}
      - {name: pooled, op: pool, input: att, kind: eot, ids: ids, eot_token: 98}
      - {name: unit, op: l2_normalize, input: pooled}
joint:
  nodes:
    - {name: logits, op: similarity, image: vision.unit, text: text.unit, scale: scale, bias: shift, scalar_rank: 1}
outputs:
  image_embeds: vision.unit
  logits: joint.logits
)";

std::string edited(std::string_view from, std::string_view to) {
  std::string text(kValid);
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("the edit does not apply: " + std::string(from));
  return text.replace(at, from.size(), to);
}

TEST(GraphYaml, ValidDocumentLoads) {
  const Graph graph = parse_graph(kValid, "g.yaml", {.batch = 3});
  EXPECT_EQ(graph.name, "small");
  EXPECT_EQ(graph.batch, 3);
  EXPECT_EQ(graph.outputs.size(), 2u);
}

struct Malformed {
  std::string_view from, to;  // an edit of kValid
  int line;
  std::string_view message;  // what follows "g.yaml:LINE: "
};

// Line numbers count from 1: "duet: 1" is line 1, the towers begin at 11, the repeat at 16, text at 31.
const Malformed kMalformed[] = {
    // the document
    {"duet: 1", "duet: 2", 1, "format version '2' is not supported: this build reads version 1"},
    {"duet: 1\n", "", 1, "the graph needs the key 'duet'"},
    {"name: small", "name: a b", 2, "the graph's name 'a b' must be letters"},
    {"name: small", "name: [a]", 2, "'name' must be a single value, not a list"},
    {"parameters:", "paramters:", 3, "unknown key 'paramters'; did you mean 'parameters'?"},
    {"towers:", "tower:", 11, "unknown key 'tower'; did you mean 'towers'?"},
    {"towers:\n", "towers: &a\n", 11, "anchors and aliases are not supported"},
    {"name: small", "name: small\nname: other", 3, "duplicate key 'name'"},
    {"name: small", "name: !tag small", 2, "tag '!tag' is not supported"},
    {"name: small", "name: small\n  bad: indent", 3, "malformed YAML"},
    {"name: small", "name: *x", 2, "malformed YAML"},
    {"  width: 32", "  width: wide", 4, "unknown parameter 'wide'"},
    {"  width: 32", "  width: inf", 4, "parameter 'width' must be a finite number, not 'inf'"},
    {"  width: 32", "  width: 1e999", 4, "parameter 'width' must be a finite number, not '1e999'"},
    {"  width: 32", "  B: 32", 4, "'B' is the batch and cannot be a parameter"},
    {"  width: 32", "  wi.dth: 32", 4, "the parameter 'wi.dth' must be letters, digits and underscores"},
    {"  width: 32", "  width: [32]", 4, "parameter 'width' must be a single value, not a list"},
    // inputs
    {"dtype: float", "dtype: f16", 8, "input 'image': 'dtype' is 'f16', it must be one of float, i32"},
    {"[B, 3, 16, 24]", "[3, B, 16, 24]", 8, "input 'image': the first dimension must be the batch B"},
    {"[B, 3, 16, 24]", "[B, 3, B, 24]", 8, "input 'image': the batch B may only be the first dimension"},
    {"[B, 3, 16, 24]", "[B, 0, 16, 24]", 8, "input 'image': a dimension is 0, it must lie between 1 and 16777216"},
    {"[B, 3, 16, 24]", "[B, -3, 16, 24]", 8, "input 'image': a dimension is -3"},
    {"[B, 3, 16, 24]", "[B, 16000000, 16000000, 16000000]", 8,
     "input 'image': the shape (1, 16000000, 16000000, 16000000) has more than 2^31 - 1 elements"},
    {"[B, 3, 16, 24]", "[B, 99999999999999999999, 1, 1]", 8, "input 'image': a dimension must be an integer"},
    {"[B, 3, 16, 24]", "[B, half, 1, 1]", 8, "input 'image': a dimension must be an integer, parameter 'half' is 0.5"},
    {"[B, 3, 16, 24]", "[B, \"3\", 1, 1]", 8, "input 'image': a dimension must be an integer, not the string '3'"},
    {"[B, 3, 16, 24]", "[]", 8, "input 'image': a shape has 1 to 4 dimensions, not 0"},
    {"[B, 3, 16, 24]", "[B, 1, 1, 1, 1]", 8, "input 'image': a shape has 1 to 4 dimensions, not 5"},
    {"dtype: float, ", "", 8, "input 'image': needs the key 'dtype'"},
    {"dtype: float, ", "dtype: float, layout: nchw, ", 8, "input 'image': unknown key 'layout'"},
    {"  mask:", "  spare: {dtype: i32, shape: [B]}\n  mask:", 10, "input 'spare': no node reads it"},
    {"  mask: {dtype: i32, shape: [B, 7]}", "  mask: 7", 10,
     "input 'mask': an input must be a map, not a single value"},
    // sections
    {"    nodes:\n      - {name: embed, op: patch", "    node:\n      - {name: embed, op: patch", 14,
     "section 'vision': unknown key 'node'; did you mean 'nodes'?"},
    {"    weights: v\n", "    weights: v w\n", 13, "section 'vision': 'v w' is not a weight name"},
    {"  text:\n", "  joint:\n", 31, "'joint' is a section of its own, beside 'towers'"},
    {"  text:\n", "  ids:\n", 31, "the tower 'ids' has the name of an input"},
    // nodes
    {"op: patch_embed", "op: patch_embet", 15,
     "node 'vision.embed': unknown op 'patch_embet'; did you mean 'patch_embed'?"},
    {"op: patch_embed", "opp: patch_embed", 15, "node 'vision.embed': needs the key 'op'; did you mean 'op'?"},
    {"patch: 8, ", "patch: 8, padding: 1, ", 15, "node 'vision.embed': unknown key 'padding'"},
    {"patch: 8, ", "", 15, "node 'vision.embed': needs the key 'patch'"},
    {"patch: 8, ", "patch: 17, ", 15, "node 'vision.embed': patch 17 does not fit an image of 16 x 24"},
    {"input: image", "input: imag", 15, "node 'vision.embed': unknown input 'imag'; did you mean 'image'?"},
    {"input: image", "input: mask", 15,
     "node 'vision.embed': the input has shape (1, 7), an image is (B, channels, height, width)"},
    {"width: width, weights: patch", "width: widht, weights: patch", 15,
     "node 'vision.embed': unknown parameter 'widht'; did you mean 'width'?"},
    {"width: width, weights: patch", "width: 1.5, weights: patch", 15,
     "node 'vision.embed': 'width' must be an integer, not '1.5'"},
    {"class_token: cls", "class_token: 'c l s'", 15, "node 'vision.embed': 'c l s' is not a weight name"},
    {"- {name: embed, op: patch", "- {op: patch", 15, "section 'vision': a node needs the key 'name'"},
    {"- {name: embed, op: patch", "- {name: em.bed, op: patch", 15,
     "section 'vision': the node's name 'em.bed' must be letters"},
    {"{name: pooled, op: pool, input: layers, kind: class}", "{name: embed, op: pool, input: layers, kind: class}", 29,
     "node 'vision.embed': the name 'embed' is already taken"},
    {"kind: class", "kind: max", 29, "node 'vision.pooled': 'kind' is 'max', it must be one of class, last, eot, mean"},
    {"kind: class", "kind: class, ids: ids", 29, "node 'vision.pooled': 'ids' and 'eot_token' go with kind eot"},
    {"- {name: unit, op: l2_normalize, input: pooled}\n  text", "- pooled\n  text", 30,
     "section 'vision': a node must be a map, not a single value"},
    // repeats
    {"count: 2", "count: 0", 17, "node 'vision.layers': 'count' is 0, it must lie between 1 and 1000"},
    {"count: 2", "count: 1001", 17, "node 'vision.layers': 'count' is 1001, it must lie between 1 and 1000"},
    {"from: embed", "from: embedd", 20, "node 'vision.layers': unknown input 'embedd'; did you mean 'embed'?"},
    {"yield: out", "yield: oul", 21, "node 'vision.layers': unknown input 'oul'; did you mean 'out'?"},
    {"yield: out", "yield: act", 21,
     "node 'vision.layers': each turn must yield the type it was given, (1, 7, 32), not (1, 7, 50)"},
    {"index: i", "index: width", 16, "node 'vision.layers': 'index' is 'width', the name of a parameter"},
    {"carry: x", "carry: embed", 16, "node 'vision.layers': 'carry' is 'embed', a name already taken"},
    {"layers.{i}", "layers.{j}", 22, "node 'vision.layers': unknown parameter 'j'"},
    {"layers.{i}", "layers.{i", 22, "node 'vision.layers': 'layers.{i' has no closing brace"},
    {"        body:", "        bodi:", 23, "node 'vision.layers': unknown key 'bodi'; did you mean 'body'?"},
    {"input: norm, width: 50", "input: ln_9, width: 50", 25, "node 'vision.layers.0.fc1': unknown input 'ln_9'"},
    {"input: act, width: width", "input: act, width: 31", 28,
     "node 'vision.layers.0.out': add of (1, 7, 32) and (1, 7, 31): the shapes must be equal"},
    {"epsilon: eps", "epsilon: 2", 24, "node 'vision.layers.0.norm': epsilon 2 must lie between 0 and 1"},
    {"{name: fc1, op: linear", "{name: fc1, op: linear, weight: w", 25,
     "node 'vision.layers.0.fc1': 'weights' excludes 'weight' and 'bias_weight'"},
    // text, joint, outputs
    {"packed[0:32 of 96]", "packed[0:32]", 34,
     "node 'text.q': rows of 'packed[0:32]' are written as name[begin:end of rows]"},
    {"packed[0:32 of 96]", "packed[0:31 of 96]", 34,
     "node 'text.q': 'packed[0:31 of 96]' takes 31 rows where 32 are needed"},
    {"packed[0:32 of 96]", "packed[80:112 of 96]", 34, "node 'text.q': rows 80:112 do not lie within the 96 rows"},
    {"heads: 4", "heads: 5", 35, "node 'text.att': width 32 is not a multiple of 5 heads"},
    {"mask: causal_padding, mask_input: mask", "mask: causal_padding", 35,
     "node 'text.att': a padding mask needs the key 'mask_input'"},
    {"mask: causal_padding, mask_input: mask", "mask: causal, mask_input: mask", 35,
     "node 'text.att': 'mask_input' goes with mask padding or causal_padding"},
    {"mask_input: mask", "mask_input: embed", 35,
     "node 'text.att': padding_mask needs a mask of type i32 and 2 dimensions, got f16 (1, 7, 32)"},
    {"input: ids, vocabulary", "input: image, vocabulary", 33,
     "node 'text.embed': gather needs ids of type i32 and 2 dimensions, got f16 (1, 3, 16, 24)"},
    {"text: text.unit", "text: text.pooled", 40,
     "node 'joint.logits': similarity needs normalised f32 embeddings of 2 dimensions, got f16 (1, 32)"},
    {"scalar_rank: 1", "scalar_rank: 2", 40, "node 'joint.logits': 'scalar_rank' is 2, it must lie between 0 and 1"},
    {"image_embeds: vision.unit", "image_embeds: vision.unti", 42,
     "output 'image_embeds': unknown input 'vision.unti'; did you mean 'vision.unit'?"},
    {"image_embeds: vision.unit", "image_embeds: image", 42,
     "output 'image_embeds': 'image' is an input, not the result of a node"},
    {"image_embeds: vision.unit", "image: vision.unit", 42, "output 'image': an input has the same name"},
    {"image_embeds: vision.unit", "again: joint.logits", 43,
     "output 'logits': 'joint.logits' is already an output under another name"},
    {"  logits: joint.logits\n", "", 40, "node 'joint.logits': no node reads its result, and it is no output"},
};

TEST(GraphYaml, MalformedGraphsAreRefusedWithFileLineAndReason) {
  for (const Malformed& c : kMalformed)
    EXPECT_EQ(refusal(edited(c.from, c.to)).rfind(fmt::format("g.yaml:{}: {}", c.line, c.message), 0), 0u)
        << "expected g.yaml:" << c.line << ": " << c.message << "\nactual   " << refusal(edited(c.from, c.to));
  EXPECT_GE(std::size(kMalformed), 45u);
}

TEST(GraphYaml, MalformedDocumentsAreRefused) {
  EXPECT_EQ(refusal(""), "g.yaml:1: the file is empty");
  EXPECT_EQ(refusal("[1, 2]"), "g.yaml:1: the document must be a map of keys to values");
  EXPECT_EQ(refusal("duet: 1\n---\nduet: 1\n"), "g.yaml:2: a second document starts here: one file holds one document");
  EXPECT_EQ(refusal("duet: 1\nname: \xff\n"), "g.yaml:2: the file is not UTF-8 text");
  EXPECT_EQ(refusal("duet: 1\nname: \xc0\xaf\n"), "g.yaml:2: the file is not UTF-8 text");      // overlong
  EXPECT_EQ(refusal("duet: 1\nname: \xed\xa0\x80\n"), "g.yaml:2: the file is not UTF-8 text");  // a surrogate
  EXPECT_EQ(refusal("duet: 1\nname: \xe2\x82"), "g.yaml:2: the file is not UTF-8 text");        // cut short
  EXPECT_EQ(refusal(std::string_view("duet: 1\0", 8)), "g.yaml:1: control character 0x00: the file is not text");
  EXPECT_EQ(refusal("duet: 1\n? [a, b]\n: 1\n"), "g.yaml:2: a key must be a plain name");
  EXPECT_EQ(refusal("duet: 1\n'': 1\n"), "g.yaml:2: a key is empty");
  EXPECT_EQ(refusal("duet: 1\n<<: {name: x}\n").rfind("g.yaml:", 0), 0u);
}

// ---- hostile documents end soon, with a refusal

class Hostile : public ::testing::Test {
 protected:
  void SetUp() override { start_ = std::chrono::steady_clock::now(); }
  void TearDown() override { EXPECT_LT(std::chrono::steady_clock::now() - start_, std::chrono::seconds(20)); }
  std::chrono::steady_clock::time_point start_;
};

TEST_F(Hostile, LargeFile) {
  EXPECT_EQ(refusal(std::string((1 << 20) + 1, '#')),
            "g.yaml:1: the file has 1048577 bytes, more than the limit of 1048576");
}

TEST_F(Hostile, DeepNesting) {
  for (const std::string_view open : {"[", "{a: ", "- ", "? "}) {
    std::string text = "a: ";
    if (open == "- " || open == "? ") text.clear();
    while (text.size() < 1000000) text += open;
    EXPECT_EQ(refusal(text).rfind("g.yaml:1: ", 0), 0u) << open;
  }
  EXPECT_NE(refusal("a: " + std::string(40, '[') + std::string(40, ']')).find("nested deeper than 32 levels"),
            std::string::npos);
}

TEST_F(Hostile, BillionLaughs) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    text += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 9; ++j) text += fmt::format("*a{}, ", i - 1);
    text += "x]\n";
  }
  EXPECT_EQ(refusal(text), "g.yaml:1: anchors and aliases are not supported: use parameters or repeat");
}

TEST_F(Hostile, ManyValues) {
  std::string text = "duet: [";
  for (int i = 0; i < 200000; ++i) text += "1, ";
  EXPECT_EQ(refusal(text + "1]"), "g.yaml:1: more than 100000 values");
}

std::string nested_repeats(int depth, int count) {
  std::string text = "duet: 1\nname: deep\ninputs: {x0: {dtype: float, shape: [B, 8]}}\ntowers:\n  t:\n    nodes:\n";
  for (int level = 0; level < depth; ++level) {
    const std::string indent(static_cast<std::size_t>(6 + 2 * level), ' ');
    text += fmt::format(
        "{0}- repeat: r{1}\n{0}  count: {2}\n{0}  carry: x{3}\n{0}  from: x{1}\n{0}  yield: {4}\n{0}  body:\n", indent,
        level, count, level + 1, level + 1 == depth ? "n" : fmt::format("r{}", level + 1));
  }
  const std::string indent(static_cast<std::size_t>(6 + 2 * depth), ' ');
  text += fmt::format("{}- {{name: n, op: silu, input: x{}}}\n", indent, depth);
  return text + "outputs: {y: t.r0}\n";
}

TEST_F(Hostile, RepeatsThatMultiply) {
  EXPECT_EQ(parse_graph(nested_repeats(3, 4), "g.yaml", {}).nodes.size(), 64u);
  EXPECT_NE(refusal(nested_repeats(4, 1000)).find("the graph has more than 20000 nodes"), std::string::npos);
  EXPECT_NE(refusal(nested_repeats(5, 2)).find("repeats nest deeper than 4"), std::string::npos);
}

TEST_F(Hostile, LongNames) {
  const std::string name(300000, 'n');
  EXPECT_NE(refusal(edited("name: pooled", "name: " + name)), "accepted");
  EXPECT_NE(refusal(edited("input: image", "input: " + name)), "accepted");
  EXPECT_NE(refusal(edited("weights: patch", "weights: " + name)), "accepted");
  EXPECT_NE(refusal(edited("parameters:", name + ": 1\nparameters:")), "accepted");
  EXPECT_NE(refusal(edited("input: image", "input: \"a\\nb\\u0001\"")), "accepted");
}

// Bytes changed, removed and doubled at random: every outcome is a graph or a one-line refusal.
TEST_F(Hostile, RandomDamage) {
  std::mt19937_64 engine(42);
  const std::string bytes = "{}[]:,-&*!|>'\"#%@`\n \t0a?\\\x80";
  for (int round = 0; round < 1500; ++round) {
    std::string text(kValid);
    for (int edit = 0; edit < 1 + round % 4; ++edit) {
      const std::size_t at = engine() % text.size();
      const std::size_t length = 1 + engine() % 12;
      switch (engine() % 3) {
        case 0:
          text[at] = bytes[engine() % bytes.size()];
          break;
        case 1:
          text.erase(at, length);
          break;
        default:
          text.insert(at, text.substr(engine() % text.size(), length));
      }
    }
    refusal(text);
  }
}

TEST(GraphYaml, OptionsAreChecked) {
  for (const GraphOptions& options : {GraphOptions{.batch = 0}, GraphOptions{.batch = -1}, GraphOptions{.batch = 65537},
                                      GraphOptions{.precision = Dtype::f32}, GraphOptions{.precision = Dtype::i32}}) {
    try {
      parse_graph(kValid, "g.yaml", options);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
    }
  }
  EXPECT_NE(refusal(edited("24]", "2400000]"), {.batch = 60000}).find("more than 2^31 - 1 elements"),
            std::string::npos);
}

TEST(GraphYaml, MissingFileIsNamed) {
  try {
    load_graph("/nowhere/graph.yaml", {});
    ADD_FAILURE() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_NE(std::string(error.what()).find("/nowhere/graph.yaml"), std::string::npos);
  }
}

// ---- what the constructs mean

const Node& node_named(const Graph& graph, std::string_view name) {
  for (const Node& node : graph.nodes)
    if (node.name == name) return node;
  throw std::runtime_error("no node " + std::string(name));
}

TEST(GraphYaml, RepeatNamesNodesAndWeightsByTurn) {
  const Graph graph = parse_graph(kValid, "g.yaml", {});
  EXPECT_EQ(node_named(graph, "vision.layers.1.fc1.matmul").weights[0].source.tensor, "v.layers.1.fc1.weight");
  const Node& second = node_named(graph, "vision.layers.1.norm");
  EXPECT_EQ(graph.values[static_cast<std::size_t>(second.inputs[0])].name, "vision.layers.0.out");
  const Node& pooled = node_named(graph, "vision.pooled");
  EXPECT_EQ(graph.values[static_cast<std::size_t>(pooled.inputs[0])].name, "vision.layers.1.out");
  EXPECT_EQ(pooled.line, 29);
}

TEST(GraphYaml, SlicesKeepTheWholeTensorsShape) {
  const Graph graph = parse_graph(edited("packed[0:32 of 96]", "packed[width:64 of 96]"), "g.yaml", {});
  EXPECT_EQ(node_named(graph, "text.q.matmul").weights[0].source,
            (WeightSource{.tensor = "packed", .shape = {96, 32}, .row_begin = 32, .row_end = 64}));
  EXPECT_EQ(node_named(graph, "text.q.bias").weights[0].source,
            (WeightSource{.tensor = "packed_bias", .shape = {96}, .row_begin = 0, .row_end = 32}));
}

TEST(GraphYaml, SlashLeavesTheSectionsPrefix) {
  const Graph graph = parse_graph(edited("weights: patch", "weights: /patch"), "g.yaml", {});
  EXPECT_EQ(node_named(graph, "vision.embed.matmul").weights[0].source.tensor, "patch.weight");
}

TEST(GraphYaml, OutputsBearTheirPublicNames) {
  const Graph graph = parse_graph(kValid, "g.yaml", {});
  EXPECT_EQ(graph.values[static_cast<std::size_t>(graph.outputs[0])].name, "image_embeds");
  EXPECT_EQ(graph.values[static_cast<std::size_t>(graph.outputs[1])].name, "logits");
}

TEST(GraphYaml, AttentionExpandsInOrder) {
  const Graph graph = parse_graph(kValid, "g.yaml", {});
  std::vector<std::string> parts;
  for (const Node& node : graph.nodes)
    if (node.name.rfind("text.att.", 0) == 0) parts.push_back(node.name.substr(9));
  EXPECT_EQ(parts, (std::vector<std::string>{"scores", "scale", "causal_mask", "padding_mask", "softmax", "values"}));
  EXPECT_FLOAT_EQ(node_named(graph, "text.att.scale").attributes.value, 0.35355339f);
}

// The layout of the text does not matter: block style, comments and line ends give an equal graph.
TEST(GraphYaml, EqualContentGivesEqualGraphs) {
  std::string other;
  for (const char c : kValid) other += c == '\n' ? std::string("   # note\r\n") : std::string(1, c);
  EXPECT_EQ(parse_graph(other, "h.yaml", {}), parse_graph(kValid, "g.yaml", {}));
}

// The example of docs/graph-format.md is a graph that loads.
TEST(GraphYaml, DocumentedExampleLoads) {
  const std::string page = read_text_file(std::string(DUET_SOURCE_DIR) + "/docs/graph-format.md", 1 << 20);
  const std::size_t begin = page.find("```yaml\nduet: 1");
  ASSERT_NE(begin, std::string::npos);
  const std::size_t end = page.find("```", begin + 8);
  const Graph graph = parse_graph(page.substr(begin + 8, end - begin - 8), "docs/graph-format.md", {});
  EXPECT_EQ(graph.outputs.size(), 3u);
}

TEST(Suggestion, NamesTheNearestWordOrNone) {
  const std::string_view known[] = {"width", "weights", "heads"};
  EXPECT_EQ(suggestion("widht", known), "; did you mean 'width'?");
  EXPECT_EQ(suggestion("weight", known), "; did you mean 'weights'?");
  EXPECT_EQ(suggestion("padding", known), "");
}

}  // namespace
}  // namespace duet
