#include "runtime/plan_codec.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace duet {
namespace {

using nlohmann::json;

[[noreturn]] void mismatch(std::string_view wanted) { fail(ErrorKind::input, "does not hold {}", wanted); }

template <typename Wanted>
Wanted take(SqlValue&& column, std::string_view what) {
  if (auto* value = std::get_if<Wanted>(&column)) return std::move(*value);
  mismatch(what);
}

template <typename Integer>
Integer narrowed(std::int64_t value) {
  if (!std::in_range<Integer>(value)) mismatch(fmt::format("a number of its range, but {}", value));
  return static_cast<Integer>(value);
}

// The JSON library converts numbers silently; these do not.
std::int64_t json_integer(const json& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
    mismatch("numbers of 63 bits");
  if (!value.is_number_integer()) mismatch("whole numbers");
  return value.get<std::int64_t>();
}

double json_real(const json& value) {
  if (!value.is_number()) mismatch("numbers");
  return value.get<double>();
}

std::string json_text(const json& value) {
  if (!value.is_string()) mismatch("a text where one belongs");
  return value.get<std::string>();
}

const json& json_field(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end()) mismatch(fmt::format("a field '{}'", name));
  return *found;
}

const json& json_array(const json& value) {
  if (!value.is_array()) mismatch("a list");
  return value;
}

SqlValue dumped(const json& value) try { return value.dump(); } catch (const json::exception&) {
  fail(ErrorKind::input, "plan: a name is not valid UTF-8");
}

json parsed(SqlValue&& column) {
  json value = json::parse(take<std::string>(std::move(column), "JSON text"), nullptr, false);
  if (value.is_discarded()) mismatch("JSON");
  return value;
}

template <typename Enum>
Enum enumerator(const std::string& name, Enum last, std::string_view (*name_of)(Enum)) {
  for (int value = 0; value <= static_cast<int>(last); ++value)
    if (name == name_of(static_cast<Enum>(value))) return static_cast<Enum>(value);
  mismatch("a known name");
}

std::string_view recipe_kind_name(RecipeKind kind) {
  switch (kind) {
    case RecipeKind::matrix:
      return "matrix";
    case RecipeKind::vector:
      return "vector";
    case RecipeKind::patches:
      return "patches";
    case RecipeKind::folded_matrix:
      return "folded_matrix";
    case RecipeKind::folded_sum:
      return "folded_sum";
    case RecipeKind::folded_bias:
      return "folded_bias";
    case RecipeKind::exp_scalar:
      return "exp_scalar";
  }
  return "unknown";
}

Dtype dtype_from(const std::string& name) { return enumerator(name, Dtype::i32, dtype_name); }

Provenance provenance_from(const std::string& name) { return enumerator(name, Provenance::measured, provenance_name); }

json to_json(const WeightSource& source) {
  return {{"tensor", source.tensor}, {"shape", source.shape}, {"rows", {source.row_begin, source.row_end}}};
}

json to_json(const std::vector<WeightSource>& sources) {
  json list = json::array();
  for (const WeightSource& source : sources) list.push_back(to_json(source));
  return list;
}

Shape shape_from(const json& list) {
  Shape shape;
  for (const json& extent : json_array(list)) shape.push_back(json_integer(extent));
  return shape;
}

WeightSource source_from(const json& value) {
  const json& rows = json_array(json_field(value, "rows"));
  if (rows.size() != 2) mismatch("two row numbers");
  return {.tensor = json_text(json_field(value, "tensor")),
          .shape = shape_from(json_field(value, "shape")),
          .row_begin = json_integer(rows[0]),
          .row_end = json_integer(rows[1])};
}

std::vector<WeightSource> sources_from(const json& list) {
  std::vector<WeightSource> sources;
  for (const json& value : json_array(list)) sources.push_back(source_from(value));
  return sources;
}

}  // namespace

SqlValue encode(bool value) { return static_cast<std::int64_t>(value); }
SqlValue encode(int value) { return std::int64_t{value}; }
SqlValue encode(std::uint32_t value) { return std::int64_t{value}; }
SqlValue encode(std::int64_t value) { return value; }
SqlValue encode(std::uint64_t value) {
  if (!std::in_range<std::int64_t>(value)) fail(ErrorKind::input, "plan: {} does not fit 63 bits", value);
  return static_cast<std::int64_t>(value);
}
SqlValue encode(double value) {
  if (std::isnan(value)) return nullptr;
  return value + 0.0;  // SQLite keeps no negative zero
}
SqlValue encode(const std::string& value) { return value; }
SqlValue encode(const std::vector<std::byte>& value) { return value; }
SqlValue encode(Dtype value) { return std::string(dtype_name(value)); }
SqlValue encode(Provenance value) { return std::string(provenance_name(value)); }
SqlValue encode(ExecutionMode value) { return std::string(execution_mode_name(value)); }
SqlValue encode(RecipeKind value) { return std::string(recipe_kind_name(value)); }
SqlValue encode(const std::vector<int>& value) { return dumped(value); }
SqlValue encode(const std::vector<std::int64_t>& value) { return dumped(value); }
SqlValue encode(const std::vector<double>& value) { return dumped(value); }

// [[parameter offset, space, index, offset in the space], ...]; a tensor map's rows, columns, ld and box rows follow.
SqlValue encode(const std::vector<Relocation>& value) {
  json list = json::array();
  for (const Relocation& relocation : value) {
    list.push_back({relocation.param_offset, static_cast<int>(relocation.target.space), relocation.target.index,
                    relocation.target.offset_bytes});
    if (!relocation.map) continue;
    for (const int number :
         {relocation.map->rows, relocation.map->columns, relocation.map->ld, relocation.map->box_rows})
      list.back().push_back(number);
  }
  return dumped(list);
}

// [[priority, SMs], ...]
SqlValue encode(const std::vector<StreamShare>& value) {
  json list = json::array();
  for (const StreamShare& share : value) list.push_back({share.priority, share.sms});
  return dumped(list);
}

SqlValue encode(const std::vector<PlanPoint>& value) {
  json list = json::array();
  for (const PlanPoint& point : value)
    list.push_back({{"schedule", point.schedule},
                    {"provenance", provenance_name(point.provenance)},
                    {"latency_us", point.latency_us},
                    {"energy_mj", point.energy_mj},
                    {"memory_bytes", point.memory_bytes},
                    {"chosen", point.chosen}});
  return dumped(list);
}

SqlValue encode(const WeightRecipe& value) {
  return dumped({{"name", value.name},
                 {"kind", recipe_kind_name(value.kind)},
                 {"sources", to_json(value.sources)},
                 {"bias", to_json(value.bias)},
                 {"gamma", to_json(value.gamma)},
                 {"beta", to_json(value.beta)},
                 {"dtype", dtype_name(value.dtype)},
                 {"fold_dtype", dtype_name(value.fold_dtype)},
                 {"rows", value.rows},
                 {"columns", value.columns},
                 {"ld", value.ld}});
}

void decode(SqlValue&& column, std::int64_t& value) { value = take<std::int64_t>(std::move(column), "an integer"); }
void decode(SqlValue&& column, int& value) {
  value = narrowed<int>(take<std::int64_t>(std::move(column), "an integer"));
}
void decode(SqlValue&& column, bool& value) {
  const auto number = take<std::int64_t>(std::move(column), "an integer");
  if (number != 0 && number != 1) fail(ErrorKind::input, "holds {}, not 0 or 1", number);
  value = number == 1;
}
void decode(SqlValue&& column, std::uint64_t& value) {
  value = narrowed<std::uint64_t>(take<std::int64_t>(std::move(column), "an integer"));
}
void decode(SqlValue&& column, double& value) {
  const bool missing = std::holds_alternative<std::nullptr_t>(column);
  value = missing ? std::numeric_limits<double>::quiet_NaN() : take<double>(std::move(column), "a real number");
}
void decode(SqlValue&& column, std::string& value) { value = take<std::string>(std::move(column), "text"); }
void decode(SqlValue&& column, std::vector<std::byte>& value) {
  value = take<std::vector<std::byte>>(std::move(column), "bytes");
}
void decode(SqlValue&& column, Dtype& value) { value = dtype_from(take<std::string>(std::move(column), "text")); }
void decode(SqlValue&& column, Provenance& value) {
  value = provenance_from(take<std::string>(std::move(column), "text"));
}
void decode(SqlValue&& column, ExecutionMode& value) {
  value = enumerator(take<std::string>(std::move(column), "text"), kExecutionModes.back(), execution_mode_name);
}
void decode(SqlValue&& column, std::vector<int>& value) {
  const json list = parsed(std::move(column));
  value.clear();
  for (const json& number : json_array(list)) value.push_back(narrowed<int>(json_integer(number)));
}
void decode(SqlValue&& column, std::vector<std::int64_t>& value) { value = shape_from(parsed(std::move(column))); }
void decode(SqlValue&& column, std::vector<double>& value) {
  const json list = parsed(std::move(column));
  value.clear();
  for (const json& number : json_array(list)) value.push_back(json_real(number));
}

void decode(SqlValue&& column, std::vector<Relocation>& value) {
  const json list = parsed(std::move(column));
  value.clear();
  for (const json& fields : json_array(list)) {
    const std::size_t count = json_array(fields).size();
    if (count != 4 && count != 8) mismatch("four numbers a pointer, or eight a tensor map");
    Relocation relocation;
    relocation.param_offset = narrowed<std::uint32_t>(json_integer(fields[0]));
    const std::int64_t space = json_integer(fields[1]);
    if (space < 0 || space > static_cast<int>(BufferSpace::output)) mismatch("a known buffer space");
    relocation.target.space = static_cast<BufferSpace>(space);
    relocation.target.index = narrowed<int>(json_integer(fields[2]));
    relocation.target.offset_bytes = narrowed<std::uint64_t>(json_integer(fields[3]));
    if (count == 8)
      relocation.map = TensorMapSpec{.rows = narrowed<int>(json_integer(fields[4])),
                                     .columns = narrowed<int>(json_integer(fields[5])),
                                     .ld = narrowed<int>(json_integer(fields[6])),
                                     .box_rows = narrowed<int>(json_integer(fields[7]))};
    value.push_back(relocation);
  }
}

void decode(SqlValue&& column, std::vector<StreamShare>& value) {
  const json list = parsed(std::move(column));
  value.clear();
  for (const json& fields : json_array(list)) {
    if (json_array(fields).size() != 2) mismatch("two numbers a stream");
    value.push_back(
        {.priority = narrowed<int>(json_integer(fields[0])), .sms = narrowed<int>(json_integer(fields[1]))});
  }
}

void decode(SqlValue&& column, std::vector<PlanPoint>& value) {
  const json list = parsed(std::move(column));
  value.clear();
  for (const json& fields : json_array(list)) {
    const json& chosen = json_field(fields, "chosen");
    if (!chosen.is_boolean()) mismatch("true or false where it belongs");
    value.push_back({.schedule = json_text(json_field(fields, "schedule")),
                     .provenance = provenance_from(json_text(json_field(fields, "provenance"))),
                     .latency_us = json_real(json_field(fields, "latency_us")),
                     .energy_mj = json_real(json_field(fields, "energy_mj")),
                     .memory_bytes = narrowed<std::uint64_t>(json_integer(json_field(fields, "memory_bytes"))),
                     .chosen = chosen.get<bool>()});
  }
}

void decode(SqlValue&& column, WeightRecipe& value) {
  const json object = parsed(std::move(column));
  value.name = json_text(json_field(object, "name"));
  value.kind = enumerator(json_text(json_field(object, "kind")), RecipeKind::exp_scalar, recipe_kind_name);
  value.sources = sources_from(json_field(object, "sources"));
  value.bias = sources_from(json_field(object, "bias"));
  value.gamma = source_from(json_field(object, "gamma"));
  value.beta = source_from(json_field(object, "beta"));
  value.dtype = dtype_from(json_text(json_field(object, "dtype")));
  value.fold_dtype = dtype_from(json_text(json_field(object, "fold_dtype")));
  value.rows = json_integer(json_field(object, "rows"));
  value.columns = json_integer(json_field(object, "columns"));
  value.ld = json_integer(json_field(object, "ld"));
}

}  // namespace duet
