#include "runtime/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"

namespace duet {
namespace {

constexpr std::size_t kMaxTensors = 100'000;
constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::size_t kMaxRank = 32;
constexpr std::size_t kMaxMessageBytes = 200;

// Accepts only {"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, "__metadata__": {"a": "b"}}.
// Events instead of a document: nothing is kept but the entries, and nesting ends at the first wrong level.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(SafetensorsEntries& entries, std::string_view file) : entries_(entries), file_(file) {}

  bool start_object(std::size_t) override {
    if (level_ == Level::outside) return enter(Level::top);
    if (level_ == Level::top) return enter(in_metadata_ ? Level::metadata : Level::entry);
    refuse("an object is not expected here");
  }

  bool key(string_t& name) override {
    check_name(name);
    if (level_ == Level::top) {
      start_tensor(name);
    } else if (!fields_.insert(name).second) {
      refuse(fmt::format("field '{}' appears twice", name));
    }
    field_ = name;
    if (level_ == Level::entry && name != "dtype" && name != "shape" && name != "data_offsets")
      refuse(fmt::format("unknown field '{}'", name));
    return true;
  }

  bool end_object() override {
    if (level_ == Level::entry) finish_tensor();
    level_ = level_ == Level::top ? Level::outside : Level::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (level_ != Level::entry || field_ == "dtype") refuse("an array is not expected here");
    return enter(Level::array);
  }

  bool end_array() override { return enter(Level::entry); }

  bool number_unsigned(number_unsigned_t value) override {
    if (level_ != Level::array) refuse("a number is not expected here");
    if (numbers().size() == kMaxRank) refuse(fmt::format("'{}' has more than {} numbers", field_, kMaxRank));
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
      refuse(fmt::format("'{}' holds {}, which does not fit 63 bits", field_, value));
    numbers().push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (level_ == Level::metadata) return true;
    if (level_ != Level::entry || field_ != "dtype") refuse("a string is not expected here");
    if (value.empty() || value.size() > 16) refuse("'dtype' is not a type's name");
    check_name(value);
    entry_.dtype = value;
    return true;
  }

  bool null() override { refuse("null is not expected here"); }
  bool boolean(bool) override { refuse("a truth value is not expected here"); }
  bool number_integer(number_integer_t value) override { refuse(fmt::format("'{}' holds {}", field_, value)); }
  bool number_float(number_float_t, const string_t& text) override {
    refuse(fmt::format("'{}' holds {}, not a whole number", field_, text.substr(0, 40)));
  }
  bool binary(binary_t&) override { refuse("binary data are not expected here"); }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    fail(ErrorKind::input, "{}: the header is not JSON: {}", file_,
         std::string_view(error.what()).substr(0, kMaxMessageBytes));
  }

 private:
  enum class Level { outside, top, entry, array, metadata };

  bool enter(Level level) {
    level_ = level;
    return true;
  }

  [[noreturn]] void refuse(std::string_view why) const {
    if (name_.empty()) fail(ErrorKind::input, "{}: malformed header: {}", file_, why);
    fail(ErrorKind::input, "{}: tensor '{}': {}", file_, name_, why);
  }

  // Names appear in messages of one line.
  void check_name(std::string_view name) const {
    const bool printable =
        std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; });
    if (name.empty() || name.size() > kMaxNameBytes || !printable)
      refuse("a name is empty, longer than 1024 bytes or holds control characters");
  }

  void start_tensor(const std::string& name) {
    name_ = name;
    in_metadata_ = name == "__metadata__";
    fields_.clear();
    entry_ = {};
    offsets_.clear();
    if (!names_.insert(name).second) refuse("appears twice");
    if (names_.size() > kMaxTensors) refuse(fmt::format("the file has more than {} tensors", kMaxTensors));
  }

  void finish_tensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"})
      if (!fields_.contains(field)) refuse(fmt::format("field '{}' is missing", field));
    if (offsets_.size() != 2) refuse("'data_offsets' does not hold two numbers");
    entry_.begin = static_cast<std::uint64_t>(offsets_[0]);
    entry_.end = static_cast<std::uint64_t>(offsets_[1]);
    entries_.emplace(name_, std::move(entry_));
  }

  std::vector<std::int64_t>& numbers() { return field_ == "shape" ? entry_.shape : offsets_; }

  SafetensorsEntries& entries_;
  std::string_view file_;
  Level level_ = Level::outside;
  bool in_metadata_ = false;
  std::string name_, field_;
  std::set<std::string> names_, fields_;
  SafetensorsEntry entry_;
  std::vector<std::int64_t> offsets_;
};

// Nothing for types that are unknown: their sizes cannot be checked, and they are refused when used.
std::optional<std::uint64_t> element_bytes(std::string_view dtype) {
  static const std::map<std::string_view, std::uint64_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
      {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}, {"C64", 8}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? std::nullopt : std::optional(found->second);
}

void check_range(const std::string& name, const SafetensorsEntry& entry, std::uint64_t data_bytes,
                 std::string_view file) {
  if (entry.begin > entry.end || entry.end > data_bytes)
    fail(ErrorKind::input, "{}: tensor '{}': bytes {} to {} lie outside the data ({} bytes)", file, name, entry.begin,
         entry.end, data_bytes);
  std::uint64_t elements = 0;
  try {
    elements = static_cast<std::uint64_t>(element_count(entry.shape));  // no element is larger than 8 bytes
  } catch (const Error& error) {
    fail(ErrorKind::input, "{}: tensor '{}': {}", file, name, error.what());
  }
  const std::optional<std::uint64_t> size = element_bytes(entry.dtype);
  if (size && elements * *size != entry.end - entry.begin)
    fail(ErrorKind::input, "{}: tensor '{}': shape {} of {} needs {} bytes, bytes {} to {} are {}", file, name,
         shape_text(entry.shape), entry.dtype, elements * *size, entry.begin, entry.end, entry.end - entry.begin);
}

void check_overlaps(const SafetensorsEntries& entries, std::string_view file) {
  std::vector<const SafetensorsEntries::value_type*> order;
  for (const auto& named : entries)
    if (named.second.begin < named.second.end) order.push_back(&named);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->second.begin < b->second.begin; });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->second.begin < order[i - 1]->second.end)
      fail(ErrorKind::input, "{}: tensors '{}' and '{}' overlap at byte {}", file, order[i - 1]->first, order[i]->first,
           order[i]->second.begin);
}

}  // namespace

SafetensorsEntries parse_safetensors_header(std::string_view text, std::uint64_t data_bytes, std::string_view file) {
  SafetensorsEntries entries;
  HeaderReader reader(entries, file);
  if (text.empty() || text.front() != '{') fail(ErrorKind::input, "{}: the header does not begin with '{{'", file);
  nlohmann::json::sax_parse(text, &reader);
  for (const auto& [name, entry] : entries) check_range(name, entry, data_bytes, file);
  check_overlaps(entries, file);
  return entries;
}

}  // namespace duet
