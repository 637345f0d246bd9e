// Databases whose tables are as they should be and whose values are not: the input is a list of changes to the rows of
// a good store. Reaches the readers behind the schema check, which changes of bytes seldom pass.
#include <cstring>

#include "runtime/plan_store.h"
#include "runtime/sqlite.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/sample_plan.h"

namespace duet {
namespace {

struct Column {
  std::string table, name;
};

std::vector<Column> columns_of(const std::filesystem::path& path) {
  const Database database(path, Database::Access::read_only);
  Statement statement = database.prepare(
      "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns WHERE "
      "tables.type = 'table' ORDER BY 1, 2");
  std::vector<Column> columns;
  while (statement.step()) columns.push_back({statement.text(0), statement.text(1)});
  return columns;
}

// The good store, its bytes and its columns.
struct Good {
  FuzzFile file{"fuzzed.db"};
  std::string bytes;
  std::vector<Column> columns;

  Good() {
    PlanStore store = PlanStore::open(file.folder() / "tune.db", PlanStore::Mode::tune);
    store.export_to(file.path(), {store.put(sample_plan())});
    std::ifstream in(file.path(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
    columns = columns_of(file.path());
  }
};

// Values read from the input's bytes; zeros past their end.
class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool more() const { return at_ < size_; }
  std::uint8_t byte() { return more() ? data_[at_++] : std::uint8_t{0}; }
  template <typename Number>
  Number number() {
    std::uint8_t bytes[sizeof(Number)];
    for (std::uint8_t& one : bytes) one = byte();
    Number value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
  std::string text() {
    std::string value(byte(), '\0');
    for (char& c : value) c = static_cast<char>(byte());
    return value;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_, at_ = 0;
};

SqlValue value_of(Reader& reader) {
  switch (reader.byte() % 6) {
    case 0:
      return std::int64_t{static_cast<std::int8_t>(reader.byte())};
    case 1:
      return reader.number<std::int64_t>();
    case 2:
      return reader.number<double>();
    case 3:
      return reader.text();
    case 4:
      return sample_bytes(reader.byte(), reader.byte());
    default:
      return nullptr;
  }
}

void change(const Good& good, Reader& reader) {
  const Database database(good.file.path(), Database::Access::read_write);
  while (reader.more()) {
    const Column& column = good.columns[reader.byte() % good.columns.size()];
    const std::int64_t row = reader.byte() % 8;  // 0: all rows
    try {
      Statement statement =
          database.prepare(fmt::format("UPDATE {} SET {} = ? WHERE ? IN (0, rowid)", column.table, column.name));
      statement.bind(value_of(reader)).bind(row);
      statement.step();
    } catch (const Error&) {  // the schema refuses some values: there is more of the input
    }
  }
}

void use(const std::filesystem::path& path) {
  const PlanStore store = PlanStore::open(path, PlanStore::Mode::read_only);
  for (const PlanSummary& summary : store.list())
    expect_value_or_refusal([&] { describe_plan(store.load(summary.id)); });
  expect_value_or_refusal([&] { store.find(sample_plan().key); });
}

}  // namespace
}  // namespace duet

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::Good good;
  good.file.write(reinterpret_cast<const std::uint8_t*>(good.bytes.data()), good.bytes.size());
  duet::Reader reader(data, size);
  duet::change(good, reader);
  duet::expect_value_or_refusal([&] { duet::use(good.file.path()); });
  return 0;
}
