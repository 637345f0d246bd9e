#include "codegen/graph_yaml.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/one_line.h"
#include "codegen/graph_expand.h"
#include "codegen/graph_fields.h"
#include "codegen/verify.h"
#include "codegen/yaml_document.h"

namespace duet {
namespace {

using Kind = YamlNode::Kind;

constexpr int kFormatVersion = 1;
constexpr std::size_t kMaxInterface = 32;  // inputs, and outputs
constexpr std::size_t kMaxTowers = 16;
constexpr std::size_t kMaxParameters = 256;
constexpr std::size_t kMaxRank = 4;
constexpr std::int64_t kMaxRepeats = 1000;
constexpr int kMaxRepeatDepth = 4;
constexpr int kMaxBatch = 65536;
constexpr std::string_view kBatchSymbol = "B";

constexpr std::string_view kDocumentKeys[] = {"duet",   "name",   "description", "parameters",
                                              "inputs", "towers", "joint",       "outputs"};
constexpr std::string_view kInputKeys[] = {"dtype", "shape"};
constexpr std::string_view kSectionKeys[] = {"weights", "nodes"};
constexpr std::string_view kRepeatKeys[] = {"repeat", "count", "index", "carry", "from", "yield", "weights", "body"};
constexpr std::array<std::string_view, 2> kNodeKinds = {"op", "repeat"};

// What names mean at one place of the file: a section, or one turn of a repeat inside it.
struct Scope {
  std::string name_prefix{};    // "vision.layers.0."
  std::string weight_prefix{};  // "vision_model.encoder.layers.0"
  Symbols symbols{};
  std::map<std::string, ValueId, std::less<>> values{};
  const Scope* parent = nullptr;
  int depth = 0;
};

class GraphLoader {
 public:
  GraphLoader(std::string_view file, const YamlNode& root, const GraphOptions& options)
      : file_(file), root_(root), options_(options) {}

  Graph run() {
    const FilePlace place = top(root_.line);
    require_known_keys(place, root_, kDocumentKeys);
    read_header();
    read_parameters();
    read_inputs();
    read_towers();
    read_joint();
    read_outputs();
    require_all_used();
    verify_graph(graph_, "load");
    return std::move(graph_);
  }

 private:
  FilePlace top(int line) const { return {.file = file_, .line = line, .subject = ""}; }
  static FilePlace subject(FilePlace place, std::string_view kind, std::string_view name) {
    place.subject = fmt::format("{} '{}'", kind, printable(name));
    return place;
  }
  const YamlNode& required(std::string_view key, Kind kind) const {
    const YamlNode* found = root_.find(key);
    if (found == nullptr) top(root_.line).fail(fmt::format("the graph needs the key '{}'", key));
    return require_kind(top(found->line), *found, kind, fmt::format("'{}'", key));
  }

  void read_header() {
    const YamlNode& version = required("duet", Kind::scalar);
    if (version.text != std::to_string(kFormatVersion))
      top(version.line)
          .fail(fmt::format("format version '{}' is not supported: this build reads version {}",
                            printable(version.text), kFormatVersion));
    const YamlNode& name = required("name", Kind::scalar);
    const bool plain = std::all_of(name.text.begin(), name.text.end(), [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    });
    if (!plain || name.text.size() > 64)
      top(name.line).fail(fmt::format("the graph's name '{}' must be letters, digits, '-', '_' and '.', at most 64",
                                      printable(name.text)));
    if (root_.find("description") != nullptr) required("description", Kind::scalar);
    graph_.name = name.text;
    graph_.batch = options_.batch;
    graph_.precision = options_.precision;
  }

  void read_parameters() {
    if (root_.find("parameters") == nullptr) return;
    const YamlNode& parameters = required("parameters", Kind::map);
    if (parameters.fields.size() > kMaxParameters)
      top(parameters.line).fail(fmt::format("more than {} parameters", kMaxParameters));
    for (const auto& [name, value] : parameters.fields) {
      const FilePlace place = top(value.line);
      require_identifier(place, name, "the parameter");
      if (name == kBatchSymbol) place.fail("'B' is the batch and cannot be a parameter");
      parameters_[name] = parse_number(place, value, fmt::format("parameter '{}'", name), parameters_);
    }
  }

  void read_inputs() {
    const YamlNode& inputs = required("inputs", Kind::map);
    if (inputs.fields.empty() || inputs.fields.size() > kMaxInterface)
      top(inputs.line).fail(fmt::format("a graph has 1 to {} inputs, not {}", kMaxInterface, inputs.fields.size()));
    for (const auto& [name, description] : inputs.fields) {
      require_identifier(top(description.key_line), name, "the input");
      const FilePlace place = subject(top(description.line), "input", name);
      require_kind(place, description, Kind::map, "an input");
      require_known_keys(place, description, kInputKeys);
      const auto id = static_cast<ValueId>(graph_.values.size());
      graph_.values.push_back({.name = name, .type = read_type(place, description)});
      graph_.inputs.push_back(id);
      lines_[id] = description.line;
      inputs_.values[name] = id;
    }
    inputs_.symbols = parameters_;
  }

  TensorType read_type(const FilePlace& place, const YamlNode& description) const {
    constexpr std::string_view kDtypes[] = {"float", "i32"};
    const Fields fields(description, place, parameters_, "");
    fields.required("dtype");
    TensorType type;
    type.dtype = fields.choice("dtype", kDtypes) == 0 ? options_.precision : Dtype::i32;
    const YamlNode& shape = require_kind(place, fields.required("shape"), Kind::sequence, "'shape'");
    const FilePlace here = place.at(shape.line);
    if (shape.items.empty() || shape.items.size() > kMaxRank)
      here.fail(fmt::format("a shape has 1 to {} dimensions, not {}", kMaxRank, shape.items.size()));
    if (shape.items.front().text != kBatchSymbol) here.fail("the first dimension must be the batch B");
    type.shape.push_back(options_.batch);
    for (std::size_t i = 1; i < shape.items.size(); ++i) {
      if (shape.items[i].text == kBatchSymbol) here.fail("the batch B may only be the first dimension");
      type.shape.push_back(parse_integer(here, shape.items[i], "a dimension", parameters_, 1, kMaxDimension));
    }
    // Four dimensions of at most 2^24 can overflow 64 bits; element_count says so.
    try {
      if (element_count(type.shape) <= std::numeric_limits<std::int32_t>::max()) return type;
    } catch (const Error&) {
    }
    here.fail(fmt::format("the shape {} has more than 2^31 - 1 elements", shape_text(type.shape)));
  }

  void read_towers() {
    const YamlNode& towers = required("towers", Kind::map);
    if (towers.fields.empty() || towers.fields.size() > kMaxTowers)
      top(towers.line).fail(fmt::format("a graph has 1 to {} towers, not {}", kMaxTowers, towers.fields.size()));
    for (const auto& [name, section] : towers.fields) {
      require_identifier(top(section.key_line), name, "the tower");
      if (name == "joint") top(section.key_line).fail("'joint' is a section of its own, beside 'towers'");
      if (inputs_.values.count(name) != 0)
        top(section.key_line).fail(fmt::format("the tower '{}' has the name of an input", name));
      read_section(name, section);
    }
  }

  void read_joint() {
    if (root_.find("joint") != nullptr) read_section("joint", required("joint", Kind::map));
  }

  void read_section(const std::string& name, const YamlNode& section) {
    const FilePlace place = subject(top(section.line), "section", name);
    require_kind(place, section, Kind::map, "a section");
    require_known_keys(place, section, kSectionKeys);
    const Fields fields(section, place, parameters_, "");
    Scope scope{.name_prefix = name + ".", .symbols = parameters_, .parent = &inputs_};
    if (fields.has("weights")) scope.weight_prefix = join_weight_name(place, "", fields.text("weights"));
    read_nodes(place, fields.required("nodes"), "'nodes'", scope);
    for (const auto& [local, value] : scope.values) sections_[scope.name_prefix + local] = value;
  }

  void read_nodes(const FilePlace& place, const YamlNode& nodes, std::string_view what, Scope& scope) {
    require_kind(place, nodes, Kind::sequence, what);
    if (nodes.items.empty()) place.at(nodes.line).fail(fmt::format("{} is empty", what));
    for (const YamlNode& node : nodes.items) {
      require_kind(place, node, Kind::map, "a node");
      if (node.find("repeat") != nullptr)
        read_repeat(place.at(node.line), node, scope);
      else
        read_node(place.at(node.line), node, scope);
    }
  }

  // The place of a node named by `key`, once its name is known to be new in the scope.
  FilePlace named_place(const FilePlace& place, const YamlNode& node, std::string_view key, const Scope& scope) {
    const YamlNode* name = node.find(key);
    if (name == nullptr) place.fail(fmt::format("a node needs the key '{}'", key));
    require_kind(place, *name, Kind::scalar, fmt::format("'{}'", key));
    require_identifier(place, name->text, "the node's name");
    FilePlace named = subject(place, "node", scope.name_prefix + name->text);
    if (lookup(scope, name->text) != kNone) named.fail(fmt::format("the name '{}' is already taken", name->text));
    return named;
  }

  void read_node(const FilePlace& place, const YamlNode& node, Scope& scope) {
    const FilePlace named = named_place(place, node, "name", scope);
    const YamlNode* op = node.find("op");
    if (op == nullptr) named.fail(fmt::format("needs the key 'op'{}", misspelt_kind(node)));
    require_kind(named, *op, Kind::scalar, "'op'");
    const std::span<const std::string_view> keys = composite_keys(op->text);
    if (!keys.empty()) require_known_keys(named, node, keys);
    const Fields fields(node, named, scope.symbols, scope.weight_prefix);
    const std::string& local = node.find("name")->text;
    const auto resolve = [&](const std::string& name, int line) { return find_value(named.at(line), name, scope); };
    const ValueId first = static_cast<ValueId>(graph_.values.size());
    const ValueId result = expand_composite(
        graph_, {.name = scope.name_prefix + local, .op = op->text, .fields = fields, .resolve = resolve});
    for (ValueId id = first; id < static_cast<ValueId>(graph_.values.size()); ++id) lines_[id] = node.line;
    scope.values[local] = result;
  }

  static std::string misspelt_kind(const YamlNode& node) {
    for (const auto& [key, value] : node.fields) {
      if (key == "name") continue;
      const std::string hint = suggestion(key, kNodeKinds);
      if (!hint.empty()) return hint;
    }
    return "";
  }

  void read_repeat(const FilePlace& place, const YamlNode& node, Scope& scope) {
    const FilePlace named = named_place(place, node, "repeat", scope);
    require_known_keys(named, node, kRepeatKeys);
    if (scope.depth >= kMaxRepeatDepth) named.fail(fmt::format("repeats nest deeper than {}", kMaxRepeatDepth));
    const Fields fields(node, named, scope.symbols, scope.weight_prefix);
    const std::int64_t count = fields.integer("count", 1, kMaxRepeats);
    const std::string carry = fields.text("carry");
    require_identifier(named, carry, "'carry'");
    if (lookup(scope, carry) != kNone) named.fail(fmt::format("'carry' is '{}', a name already taken", carry));
    ValueId carried = find_value(named.at(fields.required("from").line), fields.text("from"), scope);
    const std::string& name = node.find("repeat")->text;
    for (std::int64_t turn = 0; turn < count; ++turn) carried = read_turn(fields, node, scope, name, turn, carried);
    scope.values[name] = carried;
  }

  ValueId read_turn(const Fields& fields, const YamlNode& node, const Scope& outer, const std::string& name,
                    std::int64_t turn, ValueId carried) {
    const FilePlace& place = fields.place();
    Scope scope{.name_prefix = fmt::format("{}{}.{}.", outer.name_prefix, name, turn),
                .weight_prefix = outer.weight_prefix,
                .symbols = outer.symbols,
                .parent = &outer,
                .depth = outer.depth + 1};
    if (fields.has("index")) set_index(fields, scope, turn);
    const Fields inner(node, place, scope.symbols, scope.weight_prefix);
    if (inner.has("weights")) scope.weight_prefix = join_weight_name(place, outer.weight_prefix, inner.text("weights"));
    scope.values[inner.text("carry")] = carried;
    read_nodes(place, inner.required("body"), "'body'", scope);
    const FilePlace yield_place = place.at(inner.required("yield").line);
    const ValueId result = find_value(yield_place, inner.text("yield"), scope);
    if (type(result) != type(carried))
      yield_place.fail(fmt::format("each turn must yield the type it was given, {}, not {}",
                                   shape_text(type(carried).shape), shape_text(type(result).shape)));
    return result;
  }

  static void set_index(const Fields& fields, Scope& scope, std::int64_t turn) {
    const std::string index = fields.text("index");
    require_identifier(fields.place(), index, "'index'");
    if (scope.symbols.count(index) != 0 || index == kBatchSymbol)
      fields.place().fail(fmt::format("'index' is '{}', the name of a parameter", index));
    scope.symbols[index] = static_cast<double>(turn);
  }

  const TensorType& type(ValueId value) const { return graph_.values[static_cast<std::size_t>(value)].type; }

  ValueId lookup(const Scope& scope, std::string_view name) const {
    for (const Scope* at = &scope; at != nullptr; at = at->parent)
      if (const auto found = at->values.find(name); found != at->values.end()) return found->second;
    return kNone;
  }

  // A name of this scope or one around it, or "section.name".
  ValueId find_value(const FilePlace& place, const std::string& name, const Scope& scope) const {
    const ValueId found = lookup(scope, name);
    if (found != kNone) return found;
    const auto elsewhere = sections_.find(name);
    if (elsewhere != sections_.end()) return elsewhere->second;
    std::vector<std::string_view> known;
    for (const Scope* at = &scope; at != nullptr; at = at->parent)
      for (const auto& [local, value] : at->values) known.push_back(local);
    for (const auto& [full, value] : sections_) known.push_back(full);
    place.fail(fmt::format("unknown input '{}'{}", printable(name), suggestion(name, known)));
  }

  void read_outputs() {
    const YamlNode& outputs = required("outputs", Kind::map);
    if (outputs.fields.empty() || outputs.fields.size() > kMaxInterface)
      top(outputs.line).fail(fmt::format("a graph has 1 to {} outputs, not {}", kMaxInterface, outputs.fields.size()));
    for (const auto& [name, source] : outputs.fields) {
      require_identifier(top(source.key_line), name, "the output");
      const FilePlace place = subject(top(source.line), "output", name);
      require_kind(place, source, Kind::scalar, "an output");
      if (inputs_.values.count(name) != 0) place.fail("an input has the same name");
      const ValueId value = find_value(place, source.text, inputs_);
      if (graph_.values[static_cast<std::size_t>(value)].producer == kNone)
        place.fail(fmt::format("'{}' is an input, not the result of a node", source.text));
      if (std::count(graph_.outputs.begin(), graph_.outputs.end(), value) != 0)
        place.fail(fmt::format("'{}' is already an output under another name", source.text));
      graph_.values[static_cast<std::size_t>(value)].name = name;
      graph_.outputs.push_back(value);
    }
  }

  // Work whose result nobody reads is a mistake of the file.
  void require_all_used() const {
    std::vector<bool> used(graph_.values.size(), false);
    for (const Node& node : graph_.nodes)
      for (const ValueId input : node.inputs) used[static_cast<std::size_t>(input)] = true;
    for (const ValueId output : graph_.outputs) used[static_cast<std::size_t>(output)] = true;
    for (std::size_t id = 0; id < used.size(); ++id) {
      if (used[id]) continue;
      const Value& value = graph_.values[id];
      subject(top(lines_.at(static_cast<ValueId>(id))), value.producer == kNone ? "input" : "node", value.name)
          .fail(value.producer == kNone ? "no node reads it" : "no node reads its result, and it is no output");
    }
  }

  std::string_view file_;
  const YamlNode& root_;
  GraphOptions options_;
  Graph graph_;
  Symbols parameters_;
  Scope inputs_;                                          // the outermost scope
  std::map<std::string, ValueId, std::less<>> sections_;  // "vision.embeds"
  std::unordered_map<ValueId, int> lines_;                // where a value comes from
};

void check_options(const GraphOptions& options) {
  if (options.batch < 1 || options.batch > kMaxBatch)
    fail(ErrorKind::usage, "batch {} must lie between 1 and {}", options.batch, kMaxBatch);
  if (options.precision != Dtype::f16 && options.precision != Dtype::bf16)
    fail(ErrorKind::usage, "precision {} is not supported: use f16 or bf16", dtype_name(options.precision));
}

}  // namespace

Graph parse_graph(std::string_view yaml, std::string_view file_name, const GraphOptions& options) {
  check_options(options);
  const YamlNode root = parse_yaml(yaml, file_name);
  return GraphLoader(file_name, root, options).run();
}

Graph load_graph(const std::filesystem::path& path, const GraphOptions& options) {
  return parse_graph(read_text_file(path, YamlLimits{}.bytes), path.string(), options);
}

}  // namespace duet
