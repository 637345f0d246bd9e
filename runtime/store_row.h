// Rows of the plan store, written and read through the field lists of store_fields.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/plan_codec.h"
#include "runtime/sqlite.h"

namespace duet {

// Collects columns and their values.
struct RowWriter {
  std::vector<std::string_view> columns{};
  std::vector<SqlValue> values{};

  template <typename Value>
  void operator()(std::string_view column, const Value& value) {
    columns.push_back(column);
    values.push_back(encode(value));
  }
};

// Sets members from a statement's columns, in order.
class RowReader {
 public:
  RowReader(const Statement& statement, const std::string& file) : statement_(statement), file_(file) {}

  template <typename Value>
  void operator()(std::string_view column, Value& value) {
    try {
      decode(statement_.column(next_++), value);
    } catch (const Error& error) {
      fail(error.kind(), "{}: column '{}' {}", file_, column, error.what());
    }
  }

 private:
  const Statement& statement_;
  const std::string& file_;
  int next_ = 0;
};

template <typename Object, typename... Fields>
RowWriter row_of(const Object& object, const Fields&... fields) {
  RowWriter row;
  (fields(row, object), ...);
  return row;
}

// "a, b, c" of one field list.
template <typename Object, typename Fields>
std::string columns_of(const Fields& fields) {
  return fmt::format("{}", fmt::join(row_of(Object{}, fields).columns, ", "));
}

// Returns the new row's id. `suffix` follows the statement ("ON CONFLICT ...").
inline std::int64_t insert_row(const Database& database, std::string_view table, const RowWriter& row,
                               std::string_view suffix = "") {
  std::string places;
  for (std::size_t i = 0; i < row.values.size(); ++i) places += i == 0 ? "?" : ", ?";
  Statement statement = database.prepare(
      fmt::format("INSERT INTO {} ({}) VALUES ({}) {}", table, fmt::join(row.columns, ", "), places, suffix));
  for (const SqlValue& value : row.values) statement.bind(value);
  statement.step();
  return database.last_insert_id();
}

// "a = ? AND b = ?", with the row's values bound in order.
inline std::string equals_clause(const RowWriter& row) {
  return fmt::format("{} = ?", fmt::join(row.columns, " = ? AND "));
}

}  // namespace duet
