// Thin RAII over the SQLite C API: connection, prepared statement, transaction. Errors become one
// line that names the file and says what to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace smoothcert::store {

class Database;

/// A prepared statement. Parameters and columns count from 0.
class Statement {
 public:
  Statement(Database& db, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, double value);  ///< NaN is refused: SQLite would store NULL
  Statement& bind(int index, std::string_view value);
  Statement& bind_blob(int index, std::span<const std::uint8_t> value);

  bool step();  ///< true while a row is available
  void run();   ///< step to the end and reset

  /// Of the type they are stored as: SQLite would make 0.0 of 'abc'. Throw Error naming the column.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double real(int column) const;  ///< finite
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::vector<std::uint8_t> blob(int column) const;
  /// Whatever the column holds, as text, for messages.
  [[nodiscard]] std::string any(int column) const;
  void reset();

 private:
  [[noreturn]] void wrong_type(int column, const char* wanted) const;

  Database& db_;
  sqlite3_stmt* statement_ = nullptr;
};

/// What SQLite itself may overlook: a file shorter than its header says, while no write-ahead log
/// could make up for it. Throws Error.
void check_whole(const std::filesystem::path& file);

class Database {
 public:
  enum class Access { read_only, read_write };
  /// Opens or (read_write) creates the file; nothing is read yet.
  Database(const std::filesystem::path& file, Access access);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void execute(const std::string& sql);
  [[nodiscard]] std::int64_t query_integer(const std::string& sql);
  [[nodiscard]] std::string query_text(const std::string& sql);
  [[nodiscard]] std::int64_t last_insert_id() const;
  void busy_timeout(int milliseconds);

  /// Throws Error for a SQLite result code, in our words.
  [[noreturn]] void fail(int code, std::string_view doing) const;
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  [[nodiscard]] sqlite3* handle() const { return db_; }

 private:
  std::filesystem::path file_;
  sqlite3* db_ = nullptr;
};

/// BEGIN IMMEDIATE … COMMIT; rolled back when destroyed before commit().
class Transaction {
 public:
  explicit Transaction(Database& db);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& db_;
  bool open_ = true;
};

}  // namespace smoothcert::store
