#include "runtime/sqlite.h"

#include <sqlite3.h>

#include "base/error.h"
#include "base/one_line.h"

namespace duet {
namespace {

constexpr int kBusyTimeoutMs = 30'000;
constexpr int kMaxValueBytes = 128 << 20;  // images are small; a hostile row does not fill the memory

std::string_view advice_for(int code) {
  switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return ": the file is damaged or no plan store; restore a copy or tune again";
    case SQLITE_BUSY:
      return ": another process is writing; try again";
    case SQLITE_FULL:
    case SQLITE_IOERR:  // also what a limit on the size of files gives
      return ": make room on the disk, or name a file elsewhere; what was recorded before is kept";
    default:
      return "";
  }
}

[[noreturn]] void fail_with(sqlite3* handle, const std::string& name, int code) {
  const char* message = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  // The message quotes the file's own schema.
  fail(ErrorKind::input, "{}: {}{}", name, one_line(message), advice_for(code));
}

void require_ok(sqlite3* handle, const std::string& name, int code) {
  if (code != SQLITE_OK) fail_with(handle, name, code);
}

std::string uri_of(const std::filesystem::path& path, std::string_view parameters) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/-_.~").find(c) != std::string_view::npos;
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return fmt::format("{}?{}", uri, parameters);
}

void harden(sqlite3* handle) {
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
}

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string_view type_name(int type) {
  switch (type) {
    case SQLITE_INTEGER:
      return "an integer";
    case SQLITE_FLOAT:
      return "a real number";
    case SQLITE_TEXT:
      return "text";
    case SQLITE_BLOB:
      return "bytes";
    default:
      return "nothing";
  }
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement::Statement(sqlite3* handle, const std::string& name, std::string_view sql) : handle_(handle), name_(name) {
  sqlite3_stmt* statement = nullptr;
  require_ok(handle, name, sqlite3_prepare_v2(handle, sql.data(), static_cast<int>(sql.size()), &statement, nullptr));
  statement_.reset(statement);
}

Statement& Statement::bind(const SqlValue& value) {
  sqlite3_stmt* statement = statement_.get();
  const int index = ++bound_;
  const int code = std::visit(
      Overloaded{[&](std::nullptr_t) { return sqlite3_bind_null(statement, index); },
                 [&](std::int64_t number) { return sqlite3_bind_int64(statement, index, number); },
                 [&](double number) { return sqlite3_bind_double(statement, index, number); },
                 [&](const std::string& text) {
                   return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_TRANSIENT,
                                              SQLITE_UTF8);
                 },
                 [&](const std::vector<std::byte>& bytes) {
                   if (bytes.empty()) return sqlite3_bind_zeroblob(statement, index, 0);  // a null pointer means NULL
                   return sqlite3_bind_blob64(statement, index, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
                 }},
      value);
  require_ok(handle_, name_, code);
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) fail_with(handle_, name_, code);
  return code == SQLITE_ROW;
}

SqlValue Statement::column(int index) const {
  sqlite3_stmt* statement = statement_.get();
  switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_column_int64(statement, index)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, index);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
      if (text == nullptr) fail_with(handle_, name_, SQLITE_NOMEM);
      return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, index)));
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement, index));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
      return size == 0 ? std::vector<std::byte>() : std::vector<std::byte>(bytes, bytes + size);
    }
    default:
      return nullptr;
  }
}

std::int64_t Statement::integer(int index) const {
  const int type = sqlite3_column_type(statement_.get(), index);
  if (type != SQLITE_INTEGER)
    fail(ErrorKind::input, "{}: column '{}' holds {} instead of an integer", name_,
         printable(sqlite3_column_name(statement_.get(), index)), type_name(type));
  return sqlite3_column_int64(statement_.get(), index);
}

std::string Statement::text(int index) const {
  SqlValue value = column(index);
  if (auto* text = std::get_if<std::string>(&value)) return std::move(*text);
  fail(ErrorKind::input, "{}: column '{}' holds {} instead of text", name_,
       printable(sqlite3_column_name(statement_.get(), index)),
       type_name(sqlite3_column_type(statement_.get(), index)));
}

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Database::Database(const std::filesystem::path& path, Access access) : name_(path.string()) {
  const bool writes = access == Access::read_write || access == Access::memory;
  const std::string uri = access == Access::memory      ? ":memory:"
                          : access == Access::immutable ? uri_of(path, "immutable=1")
                          : access == Access::read_only ? uri_of(path, "mode=ro")
                                                        : uri_of(path, "mode=rwc");
  const int flags = (writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_URI |
                    SQLITE_OPEN_NOMUTEX;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(uri.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);  // to be closed even when opening failed
  require_ok(handle, name_, code);
  harden(handle);
  execute("PRAGMA foreign_keys = ON");
  execute("PRAGMA cell_size_check = ON");  // finds damaged pages before they are used
}

Statement Database::prepare(std::string_view sql) const { return Statement(handle_.get(), name_, sql); }

void Database::execute(std::string_view sql) const {
  Statement statement = prepare(sql);
  while (statement.step()) {
  }
}

bool Database::execute_unless_busy(std::string_view sql) const {
  const Statement statement = prepare(sql);
  int code = SQLITE_ROW;
  while (code == SQLITE_ROW) code = sqlite3_step(statement.statement_.get());
  if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) return false;
  if (code != SQLITE_DONE) fail_with(handle_.get(), name_, code);
  return true;
}

std::int64_t Database::integer(std::string_view sql) const {
  Statement statement = prepare(sql);
  if (!statement.step()) fail(ErrorKind::input, "{}: gives no row for '{}'", name_, sql);
  return statement.integer(0);
}

std::int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(handle_.get()); }

// Through bytes, not pages: a copied header would ask for a write-ahead log, which memory cannot have.
void Database::copy_into(const Database& target) const {
  constexpr std::int64_t kMaxCopyBytes = std::int64_t{1} << 30;
  const std::int64_t bytes = integer("PRAGMA page_count") * integer("PRAGMA page_size");
  if (bytes > kMaxCopyBytes)
    fail(ErrorKind::input, "{}: {} bytes are too many to be read as an older store: open it for tuning once", name_,
         bytes);
  sqlite3_int64 size = 0;
  unsigned char* image = sqlite3_serialize(handle_.get(), "main", &size, 0);
  if (image == nullptr) fail_with(nullptr, name_, SQLITE_NOMEM);
  constexpr sqlite3_int64 kJournalVersionsAt = 18, kHeaderBytes = 100;
  if (size >= kHeaderBytes) image[kJournalVersionsAt] = image[kJournalVersionsAt + 1] = 1;
  require_ok(target.handle_.get(), name_,
             sqlite3_deserialize(target.handle_.get(), "main", image, size, size,
                                 SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE));
}

Transaction::Transaction(const Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const Error&) {
    // SQLite has already rolled back (full disk, lost file): nothing is left to undo.
  }
}

Snapshot::Snapshot(const Database& database) : database_(database) {
  database_.execute("BEGIN");
  database_.integer("SELECT count(*) FROM sqlite_master");  // the moment is that of the first look
}

Snapshot::~Snapshot() {
  try {
    database_.execute("COMMIT");
  } catch (const Error&) {
    // Nothing was written: there is nothing to lose.
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace duet
