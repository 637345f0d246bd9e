#include "codegen/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <numeric>
#include <sstream>
#include <unordered_set>

#include "base/error.h"
#include "base/one_line.h"

namespace duet {
namespace {

[[noreturn]] void fail_at(std::string_view file, int line, std::string_view message) {
  fail(ErrorKind::input, "{}:{}: {}", file, line, message);
}

// The bytes that follow the first byte of a UTF-8 sequence, or -1 where none may start.
int continuation_bytes(unsigned char lead) {
  if (lead < 0x80) return 0;
  if (lead >= 0xc2 && lead < 0xe0) return 1;
  if (lead >= 0xe0 && lead < 0xf0) return 2;
  if (lead >= 0xf0 && lead < 0xf5) return 3;
  return -1;
}

// Rejects overlong forms, surrogates and values above U+10FFFF.
bool valid_second_byte(unsigned char lead, unsigned char second) {
  if (lead == 0xe0) return second >= 0xa0;
  if (lead == 0xed) return second < 0xa0;
  if (lead == 0xf0) return second >= 0x90;
  if (lead == 0xf4) return second < 0x90;
  return true;
}

bool is_control(unsigned char c) { return (c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f; }

// Length of the valid UTF-8 sequence at `position`, or 0.
std::size_t sequence_length(std::string_view text, std::size_t position) {
  const auto lead = static_cast<unsigned char>(text[position]);
  const int following = continuation_bytes(lead);
  if (following < 0 || position + static_cast<std::size_t>(following) >= text.size()) return 0;
  for (int i = 1; i <= following; ++i) {
    const auto byte = static_cast<unsigned char>(text[position + static_cast<std::size_t>(i)]);
    if ((byte & 0xc0) != 0x80 || (i == 1 && !valid_second_byte(lead, byte))) return 0;
  }
  return static_cast<std::size_t>(following) + 1;
}

void check_characters(std::string_view text, std::string_view file) {
  int line = 1;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t length = sequence_length(text, position);
    if (length == 0) fail_at(file, line, "the file is not UTF-8 text");
    if (is_control(static_cast<unsigned char>(text[position])))
      fail_at(
          file, line,
          fmt::format("control character 0x{:02x}: the file is not text", static_cast<unsigned char>(text[position])));
    if (text[position] == '\n') ++line;
    position += length;
  }
}

// Builds the tree from the parser's events, so that limits hold before anything large exists.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view file, const YamlLimits& limits) : file_(file), limits_(limits) {}

  bool has_root() const { return has_root_; }
  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (has_root_) fail_at(file_, line_of(mark), "a second document starts here: one file holds one document");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check_anchor(mark, anchor);
    add({.kind = YamlNode::Kind::scalar, .line = line_of(mark)});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_properties(mark, tag, anchor);
    // yaml-cpp gives the tag "!" to quoted scalars and "?" to plain ones.
    add({.kind = YamlNode::Kind::scalar, .line = line_of(mark), .text = value, .quoted = tag == "!"});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    YamlNode node;
    bool has_key = false;
    int key_line = 0;
    std::string key{};
    std::unordered_set<std::string> keys{};
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }

  [[noreturn]] void refuse_anchor(const YAML::Mark& mark) const {
    fail_at(file_, line_of(mark), "anchors and aliases are not supported: use parameters or repeat");
  }
  void check_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor) refuse_anchor(mark);
  }
  void check_properties(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) const {
    check_anchor(mark, anchor);
    if (!tag.empty() && tag != "?" && tag != "!")
      fail_at(file_, line_of(mark), fmt::format("tag '{}' is not supported", printable(tag)));
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    check_properties(mark, tag, anchor);
    if (static_cast<int>(frames_.size()) >= limits_.depth)
      fail_at(file_, line_of(mark), fmt::format("nested deeper than {} levels", limits_.depth));
    if (!frames_.empty() && frames_.back().node.kind == YamlNode::Kind::map && !frames_.back().has_key)
      fail_at(file_, line_of(mark), "a key must be a plain name");
    frames_.push_back({.node = {.kind = kind, .line = line_of(mark)}});
  }

  void close() {
    YamlNode node = std::move(frames_.back().node);
    frames_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (++count_ > limits_.nodes) fail_at(file_, node.line, fmt::format("more than {} values", limits_.nodes));
    if (frames_.empty()) {
      root_ = std::move(node);
      has_root_ = true;
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == YamlNode::Kind::sequence) {
      frame.node.items.push_back(std::move(node));
    } else if (frame.has_key) {
      node.key_line = frame.key_line;
      frame.node.fields.emplace_back(std::move(frame.key), std::move(node));
      frame.has_key = false;
    } else {
      set_key(frame, node);
    }
  }

  void set_key(Frame& frame, const YamlNode& node) const {
    if (node.text.empty()) fail_at(file_, node.line, "a key is empty");
    if (!frame.keys.insert(node.text).second)
      fail_at(file_, node.line, fmt::format("duplicate key '{}'", printable(node.text)));
    frame.key = node.text;
    frame.key_line = node.line;
    frame.has_key = true;
  }

  std::string_view file_;
  YamlLimits limits_;
  std::vector<Frame> frames_;
  std::size_t count_ = 0;
  bool has_root_ = false;
  YamlNode root_;
};

// Case-blind edit distance (insert, delete, replace, swap of neighbours).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  std::iota(cost[0].begin(), cost[0].end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  return cost[a.size()][b.size()];
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == key; });
  return found == fields.end() ? nullptr : &found->second;
}

YamlNode parse_yaml(std::string_view text, std::string_view file_name, const YamlLimits& limits) {
  if (text.size() > limits.bytes)
    fail_at(file_name, 1, fmt::format("the file has {} bytes, more than the limit of {}", text.size(), limits.bytes));
  check_characters(text, file_name);
  TreeBuilder builder(file_name, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    fail_at(file_name, std::max(error.mark.line, 0) + 1, fmt::format("malformed YAML: {}", error.msg));
  }
  if (!builder.has_root()) fail_at(file_name, 1, "the file is empty");
  YamlNode root = builder.take_root();
  if (root.kind != YamlNode::Kind::map) fail_at(file_name, root.line, "the document must be a map of keys to values");
  return root;
}

std::string suggestion(std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t kLongestName = 64;
  if (name.size() > kLongestName) return "";
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;  // further than that is another word
  for (const std::string_view candidate : known) {
    if (candidate.size() > kLongestName) continue;
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < least && distance < candidate.size()) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
}

}  // namespace duet
