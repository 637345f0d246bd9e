#include "codegen/verify.h"

#include <string>
#include <unordered_set>

#include "base/error.h"
#include "codegen/ops.h"

namespace duet {
namespace {

class Verifier {
 public:
  Verifier(const Graph& graph, std::string_view pass) : graph_(graph), pass_(pass) {}

  void run() {
    check_values();
    check_inputs();
    for (std::size_t node = 0; node < graph_.nodes.size(); ++node) check_node(node);
    check_outputs();
  }

 private:
  template <typename... Args>
  [[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::internal, "after pass '{}': graph '{}': {}", pass_, graph_.name,
         fmt::format(format, std::forward<Args>(args)...));
  }

  bool known(ValueId value) const { return value >= 0 && static_cast<std::size_t>(value) < graph_.values.size(); }
  const Value& value(ValueId id) const { return graph_.values[static_cast<std::size_t>(id)]; }

  void check_values() {
    std::unordered_set<std::string_view> names;
    for (const Value& value : graph_.values) {
      if (value.name.empty()) broken("a value has no name");
      if (!names.insert(value.name).second) broken("two values are named '{}'", value.name);
      if (value.producer != kNone &&
          (value.producer < 0 || static_cast<std::size_t>(value.producer) >= graph_.nodes.size()))
        broken("value '{}': its producer {} does not exist", value.name, value.producer);
    }
    ready_.assign(graph_.values.size(), false);
  }

  void check_inputs() {
    for (const ValueId input : graph_.inputs) {
      if (!known(input)) broken("input {} does not exist", input);
      if (value(input).producer != kNone) broken("input '{}' is produced by a node", value(input).name);
      if (ready_[static_cast<std::size_t>(input)]) broken("input '{}' is listed twice", value(input).name);
      ready_[static_cast<std::size_t>(input)] = true;
    }
  }

  void check_node(std::size_t index) {
    const Node& node = graph_.nodes[index];
    if (node.name.empty()) broken("node {} has no name", index);
    if (!node_names_.insert(node.name).second) broken("two nodes are named '{}'", node.name);
    for (const ValueId input : node.inputs) {
      if (!known(input)) broken("node '{}': input {} does not exist", node.name, input);
      if (!ready_[static_cast<std::size_t>(input)])
        broken("node '{}': reads '{}' before it is produced", node.name, value(input).name);
    }
    if (!known(node.output)) broken("node '{}': its output {} does not exist", node.name, node.output);
    if (value(node.output).producer != static_cast<NodeId>(index))
      broken("node '{}': its output '{}' names another producer", node.name, value(node.output).name);
    if (ready_[static_cast<std::size_t>(node.output)])
      broken("node '{}': '{}' is produced twice", node.name, value(node.output).name);
    check_type(node);
    ready_[static_cast<std::size_t>(node.output)] = true;
  }

  void check_type(const Node& node) const {
    TensorType inferred;
    try {
      inferred = infer_type(graph_, node);
    } catch (const Error& error) {
      broken("node '{}': {}", node.name, error.what());
    }
    if (inferred != value(node.output).type)
      broken("node '{}': its output is {} {}, the rule gives {} {}", node.name,
             dtype_name(value(node.output).type.dtype), shape_text(value(node.output).type.shape),
             dtype_name(inferred.dtype), shape_text(inferred.shape));
  }

  void check_outputs() const {
    std::unordered_set<ValueId> seen;
    if (graph_.outputs.empty()) broken("it has no output");
    for (const ValueId output : graph_.outputs) {
      if (!known(output)) broken("output {} does not exist", output);
      if (!ready_[static_cast<std::size_t>(output)]) broken("output '{}' is never produced", value(output).name);
      if (!seen.insert(output).second) broken("output '{}' is listed twice", value(output).name);
    }
    for (std::size_t id = 0; id < ready_.size(); ++id)
      if (!ready_[id]) broken("value '{}' is neither an input nor produced", graph_.values[id].name);
  }

  const Graph& graph_;
  std::string_view pass_;
  std::vector<bool> ready_;  // by value: an input, or produced by an earlier node
  std::unordered_set<std::string_view> node_names_;
};

}  // namespace

void verify_graph(const Graph& graph, std::string_view pass) { Verifier(graph, pass).run(); }

}  // namespace duet
