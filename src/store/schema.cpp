#include "store/schema.hpp"

#include <fmt/format.h>

#include "smoothcert/version.hpp"

namespace smoothcert::store {

namespace {

// Counts are text such as "[3,0,997]" so that sqlite3 and pandas can read them. A seed is stored as
// the signed integer of the same 64 bits. Settings that identify a run are repeated in `key`.
constexpr const char* kTables = R"sql(
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE models(
  hash TEXT PRIMARY KEY, name TEXT NOT NULL, regime TEXT NOT NULL, training_sigma REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE datasets(
  hash TEXT NOT NULL, name TEXT NOT NULL, split TEXT NOT NULL,
  channels INTEGER NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL,
  classes INTEGER NOT NULL, PRIMARY KEY(hash)
) WITHOUT ROWID;
CREATE TABLE runs(
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
  model TEXT NOT NULL REFERENCES models(hash), dataset TEXT NOT NULL REFERENCES datasets(hash),
  sigma REAL NOT NULL, n0 INTEGER NOT NULL, n INTEGER NOT NULL, alpha REAL NOT NULL,
  seed INTEGER NOT NULL, noise TEXT NOT NULL, clamp INTEGER NOT NULL, mode TEXT NOT NULL,
  precision TEXT NOT NULL, arithmetic TEXT NOT NULL, program_version TEXT NOT NULL,
  backend TEXT NOT NULL, started TEXT NOT NULL, p_b TEXT NOT NULL DEFAULT 'complement'
);
CREATE TABLE chunks(
  run INTEGER NOT NULL REFERENCES runs(id), image INTEGER NOT NULL, stage INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, counts TEXT NOT NULL, invalid INTEGER NOT NULL,
  PRIMARY KEY(run, image, stage, first)
) WITHOUT ROWID;
CREATE TABLE certificates(
  run INTEGER NOT NULL REFERENCES runs(id), image INTEGER NOT NULL, label INTEGER NOT NULL,
  selected INTEGER NOT NULL, prediction INTEGER NOT NULL, radius REAL NOT NULL,
  p_lower REAL NOT NULL, selection_counts TEXT NOT NULL, selection_invalid INTEGER NOT NULL,
  estimation_counts TEXT NOT NULL, estimation_invalid INTEGER NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY(run, image)
) WITHOUT ROWID;
CREATE TABLE documents(name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
)sql";

bool is_empty(Database& db) {
  return db.query_integer("PRAGMA application_id") == 0 &&
         db.query_integer("PRAGMA user_version") == 0 &&
         db.query_integer("SELECT count(*) FROM sqlite_master") == 0;
}

void create_tables(Database& db) {
  db.execute("PRAGMA journal_mode=WAL");
  Transaction transaction(db);
  if (is_empty(db)) {  // otherwise another process has just made them
    db.execute(kTables);
    Statement version(db, "INSERT INTO meta VALUES('created_by', ?)");
    version.bind(0, std::string("smoothcert ") + kVersion).run();
    db.execute(fmt::format("PRAGMA application_id={}", kApplicationId));
    db.execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
  }
  transaction.commit();
}

void upgrade(Database& db) {
  Transaction transaction(db);
  if (!has_p_b(db)) {  // otherwise another process has just done it
    db.execute("ALTER TABLE runs ADD COLUMN p_b TEXT NOT NULL DEFAULT 'complement'");
    db.execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
  }
  transaction.commit();
}

}  // namespace

bool has_p_b(Database& db) {
  return db.query_integer("SELECT count(*) FROM pragma_table_info('runs') WHERE name = 'p_b'") > 0;
}

void open_schema(Database& db, Database::Access access) {
  const std::string file = db.file().string();
  if (is_empty(db)) {
    if (access == Database::Access::read_only) {
      throw Error("'" + file + "' is not a results store (it is empty)");
    }
    create_tables(db);
  }
  if (db.query_integer("PRAGMA application_id") != kApplicationId) {
    throw Error("'" + file + "' is a SQLite file, but not a results store");
  }
  const std::int64_t version = db.query_integer("PRAGMA user_version");
  if (version > kSchemaVersion) {
    throw Error(
        fmt::format("results store '{}' has schema version {} (made by '{}'), this is "
                    "smoothcert {} and knows version {}; use a newer smoothcert",
                    file, version, db.query_text("SELECT value FROM meta WHERE name='created_by'"),
                    kVersion, kSchemaVersion));
  }
  const std::string damage = db.query_text("PRAGMA quick_check(1)");
  if (damage != "ok") {
    throw Error(
        fmt::format("results store '{}' is damaged ({}); restore a copy, or move it away "
                    "and start a new one",
                    file, damage.substr(damage.rfind('\n') + 1)));
  }
  if (version < kSchemaVersion && access == Database::Access::read_write) upgrade(db);
}

}  // namespace smoothcert::store
