// SQLite with errors as Error(input) that name the file, and with typed values. Used by the plan store alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace duet {

using SqlValue = std::variant<std::nullptr_t, std::int64_t, double, std::string, std::vector<std::byte>>;

class Statement {
 public:
  // Values are bound in order, from 1.
  Statement& bind(const SqlValue& value);
  // True while there is a row.
  bool step();
  SqlValue column(int index) const;
  // Throw Error(input) when the column holds another type.
  std::int64_t integer(int index) const;
  std::string text(int index) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3* handle, const std::string& name, std::string_view sql);

  sqlite3* handle_;
  const std::string& name_;  // the Database's
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

// Not movable: its statements refer to it.
class Database {
 public:
  enum class Access {
    read_write,  // created when absent
    read_only,   // another process may be writing
    immutable,   // nothing writes: no lock, no journal, works in a read-only folder
    memory,      // private, lost with the object
  };
  Database(const std::filesystem::path& path, Access access);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& name() const { return name_; }
  Statement prepare(std::string_view sql) const;
  void execute(std::string_view sql) const;  // one statement without results
  // False when another process holds a lock that the statement needs.
  bool execute_unless_busy(std::string_view sql) const;
  // One value of a statement that gives one row.
  std::int64_t integer(std::string_view sql) const;
  std::int64_t last_insert_id() const;
  // Replaces everything in a private one. Throws Error(input) when this one is larger than a gigabyte.
  void copy_into(const Database& target) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::string name_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// Begins with the write lock, so that two writers queue instead of failing halfway; rolls back unless committed.
class Transaction {
 public:
  explicit Transaction(const Database& database);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  void commit();

 private:
  const Database& database_;
  bool open_ = true;
};

// What is read while it lives is of one moment, whatever another process writes.
class Snapshot {
 public:
  explicit Snapshot(const Database& database);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

 private:
  const Database& database_;
};

}  // namespace duet
