// Thin RAII over the SQLite C API: connection, prepared statement, transaction.
#include "store/sqlite.hpp"

#include <sqlite3.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <system_error>

#include "util/atomic_file.hpp"

namespace smoothcert::store {

namespace {

// A file name inside a SQLite URI: '%', '?' and '#' have a meaning there.
std::string uri_escaped(const std::string& path) {
  std::string out;
  for (char c : path) {
    if (c == '%') {
      out += "%25";
    } else if (c == '?') {
      out += "%3f";
    } else if (c == '#') {
      out += "%23";
    } else {
      out += c;
    }
  }
  return out;
}

bool is_empty_or_absent(const std::filesystem::path& file) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(file, ignored);
  return ignored || size == 0;
}

std::filesystem::path wal_of(std::filesystem::path file) { return file += "-wal"; }

}  // namespace

// The database header: https://www.sqlite.org/fileformat2.html#the_database_header
void check_whole(const std::filesystem::path& file) {
  std::error_code ignored;
  if (is_special_file(file))
    throw Error("'" + file.string() + "' is not a file, and a results store must be one");
  if (!std::filesystem::is_regular_file(file, ignored) || is_empty_or_absent(file) ||
      !is_empty_or_absent(wal_of(file))) {
    return;
  }
  std::array<unsigned char, 100> header{};
  std::ifstream in(file, std::ios::binary);
  if (!in) return;  // opening it through SQLite says why
  in.read(reinterpret_cast<char*>(header.data()), header.size());
  if (in.gcount() < 16 || std::memcmp(header.data(), "SQLite format 3", 16) != 0) {
    throw Error("'" + file.string() + "' is not a results store (not a SQLite file)");
  }
  const auto word = [&](std::size_t at) {
    return std::uint64_t{header[at]} << 24 | std::uint64_t{header[at + 1]} << 16 |
           std::uint64_t{header[at + 2]} << 8 | header[at + 3];
  };
  const std::uint64_t raw_page = word(16) >> 16;
  const std::uint64_t expected = (raw_page == 1 ? 65536 : raw_page) * word(28);
  const bool count_is_valid = word(24) == word(92);
  const std::uint64_t found = std::filesystem::file_size(file, ignored);
  if (in.gcount() < 100 || (count_is_valid && found < expected)) {
    throw Error("results store '" + file.string() + "' is damaged: it ends after " +
                std::to_string(found) + " of " + std::to_string(expected) +
                " bytes; restore a copy, or move it away and start a new one");
  }
}

Database::Database(const std::filesystem::path& file, Access access) : file_(file) {
  check_whole(file);
  int flags = SQLITE_OPEN_URI | SQLITE_OPEN_FULLMUTEX;
  std::string name = "file:" + uri_escaped(std::filesystem::absolute(file).string());
  if (access == Access::read_write) {
    flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  } else {
    flags |= SQLITE_OPEN_READONLY;
  }
  int code = sqlite3_open_v2(name.c_str(), &db_, flags, nullptr);
  if (code == SQLITE_OK && access == Access::read_only) {
    // A cleanly closed store in a folder that may not be written: WAL's side files cannot be made,
    // and are not needed when there is nothing in them.
    const int first =
        sqlite3_exec(db_, "SELECT count(*) FROM sqlite_master", nullptr, nullptr, nullptr) & 0xff;
    if (first == SQLITE_CANTOPEN || first == SQLITE_READONLY) {
      if (!is_empty_or_absent(wal_of(file))) {
        sqlite3_close_v2(db_);
        throw Error("results store '" + file.string() +
                    "' cannot be read where it is: its newest results are in its -wal file, and "
                    "its folder cannot be written; copy both elsewhere, or wait for the program "
                    "that writes it to end");
      }
      sqlite3_close_v2(db_);
      name += "?immutable=1";
      code = sqlite3_open_v2(name.c_str(), &db_, flags, nullptr);
    }
  }
  if (code != SQLITE_OK) {
    try {
      fail(code, "opening");
    } catch (...) {
      sqlite3_close_v2(db_);  // open_v2 gives a handle even when it fails
      throw;
    }
  }
  sqlite3_extended_result_codes(db_, 1);
}

Database::~Database() { sqlite3_close_v2(db_); }

void Database::fail(int code, std::string_view doing) const {
  const std::string name = "results store '" + file_.string() + "'";
  const std::string detail = db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(name +
                  " is locked by another process; wait for it to finish or end it, then run the "
                  "same command again");
    case SQLITE_NOTADB:
      throw Error("'" + file_.string() + "' is not a results store (not a SQLite file)");
    case SQLITE_CORRUPT:
      throw Error(name + " is damaged (" + detail +
                  "); restore a copy, or move it away and start a new one");
    case SQLITE_FULL:
      throw Error(name +
                  ": the disk is full; free some space and run the same command again, what "
                  "was committed is kept");
    case SQLITE_IOERR:
      throw Error(name + ": input/output error while " + std::string(doing) + " (" + detail +
                  "); check the disk and its free space, then run the same command again");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      throw Error(name + " cannot be written; check the permissions of the file and its folder");
    case SQLITE_CANTOPEN: {
      std::error_code ignored;
      if (std::filesystem::is_directory(file_, ignored)) {
        throw Error("'" + file_.string() + "' is a folder, not a results store");
      }
      const auto folder = std::filesystem::absolute(file_).parent_path();
      if (!std::filesystem::is_directory(folder, ignored)) {
        throw Error(name + " cannot be opened: there is no folder '" + folder.string() + "'");
      }
      if (const int cause = db_ != nullptr ? sqlite3_system_errno(db_) : 0;
          cause == EMFILE || cause == ENFILE) {
        throw Error(name +
                    " cannot be opened: too many files are open; 'ulimit -n' says how many may be");
      }
      throw Error(name + " cannot be opened; check the permissions of the file and its folder");
    }
    default:
      throw Error(name + ": " + detail + " while " + std::string(doing));
  }
}

void Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code, "executing a statement");
}

std::int64_t Database::query_integer(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

std::string Database::query_text(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.text(0) : std::string();
}

std::int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(db_); }

void Database::busy_timeout(int milliseconds) { sqlite3_busy_timeout(db_, milliseconds); }

Statement::Statement(Database& db, std::string_view sql) : db_(db) {
  const int code = sqlite3_prepare_v2(db.handle(), sql.data(), static_cast<int>(sql.size()),
                                      &statement_, nullptr);
  if (code != SQLITE_OK) db.fail(code, "reading its tables");
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(int index, std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_, index + 1, value);
  if (code != SQLITE_OK) db_.fail(code, "binding an integer");
  return *this;
}

Statement& Statement::bind(int index, double value) {
  if (std::isnan(value)) throw Error("a NaN cannot be stored in '" + db_.file().string() + "'");
  const int code = sqlite3_bind_double(statement_, index + 1, value);
  if (code != SQLITE_OK) db_.fail(code, "binding a number");
  return *this;
}

Statement& Statement::bind(int index, std::string_view value) {
  const int code = sqlite3_bind_text(statement_, index + 1, value.data(),
                                     static_cast<int>(value.size()), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) db_.fail(code, "binding text");
  return *this;
}

Statement& Statement::bind_blob(int index, std::span<const std::uint8_t> value) {
  const int code = sqlite3_bind_blob(statement_, index + 1, value.data(),
                                     static_cast<int>(value.size()), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) db_.fail(code, "binding bytes");
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3_reset(statement_);
  db_.fail(code, sqlite3_stmt_readonly(statement_) != 0 ? "reading" : "writing");
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() { sqlite3_reset(statement_); }

std::int64_t Statement::integer(int column) const {
  if (sqlite3_column_type(statement_, column) != SQLITE_INTEGER) wrong_type(column, "an integer");
  return sqlite3_column_int64(statement_, column);
}

double Statement::real(int column) const {
  const int type = sqlite3_column_type(statement_, column);
  const double value = sqlite3_column_double(statement_, column);
  if ((type != SQLITE_FLOAT && type != SQLITE_INTEGER) || !std::isfinite(value))
    wrong_type(column, "a number");
  return value;
}

std::string Statement::text(int column) const {
  if (sqlite3_column_type(statement_, column) != SQLITE_TEXT) wrong_type(column, "text");
  return any(column);
}

std::vector<std::uint8_t> Statement::blob(int column) const {
  if (sqlite3_column_type(statement_, column) != SQLITE_BLOB) wrong_type(column, "bytes");
  const auto* bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::vector<std::uint8_t>()
                          : std::vector<std::uint8_t>(bytes, bytes + size);
}

std::string Statement::any(int column) const {
  const unsigned char* bytes = sqlite3_column_text(statement_, column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void Statement::wrong_type(int column, const char* wanted) const {
  throw Error(std::string(sqlite3_column_name(statement_, column)) + " is '" +
              any(column).substr(0, 40) + "', not " + wanted);
}

Transaction::Transaction(Database& db) : db_(db) { db.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (open_) sqlite3_exec(db_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  db_.execute("COMMIT");
  open_ = false;
}

}  // namespace smoothcert::store
