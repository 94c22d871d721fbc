// Creates, checks and upgrades the tables of a results store.
#include "store/schema.hpp"

#include <fmt/format.h>

#include "smoothcert/version.hpp"

namespace smoothcert::store {

std::string stored_bound(Database& db) {
  return db.query_text("SELECT value FROM meta WHERE name = 'bound'");
}

void write_stored_bound(Database& db, const std::string& bound) {
  Statement(db, "INSERT OR REPLACE INTO meta VALUES('bound', ?)").bind(0, bound).run();
}

namespace {

// Counts are text such as "[3,0,997]" so that sqlite3 and pandas can read them. A seed is stored as
// the signed integer of the same 64 bits. Settings that identify a run are repeated in `key`.
// A certificate's `samples` are the estimation samples used, `stop` says why no more were.
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
  backend TEXT NOT NULL, started TEXT NOT NULL, p_b TEXT NOT NULL DEFAULT 'complement',
  rule TEXT NOT NULL DEFAULT 'fixed', target REAL NOT NULL DEFAULT 0,
  checkpoints TEXT NOT NULL DEFAULT '', stopped_at TEXT NOT NULL DEFAULT '', norm TEXT NOT NULL DEFAULT 'l2',
  kind TEXT NOT NULL DEFAULT 'probabilistic', soundness TEXT NOT NULL DEFAULT '',
  pixels TEXT NOT NULL DEFAULT '', external TEXT NOT NULL DEFAULT ''
);
CREATE TABLE chunks(
  run INTEGER NOT NULL REFERENCES runs(id), image INTEGER NOT NULL, stage INTEGER NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, counts TEXT NOT NULL, invalid INTEGER NOT NULL,
  label INTEGER NOT NULL DEFAULT -1, checksum TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(run, image, stage, first)
) WITHOUT ROWID;
CREATE TABLE certificates(
  run INTEGER NOT NULL REFERENCES runs(id), image INTEGER NOT NULL, label INTEGER NOT NULL,
  selected INTEGER NOT NULL, prediction INTEGER NOT NULL, radius REAL NOT NULL,
  p_lower REAL NOT NULL, selection_counts TEXT NOT NULL, selection_invalid INTEGER NOT NULL,
  estimation_counts TEXT NOT NULL, estimation_invalid INTEGER NOT NULL, seconds REAL NOT NULL,
  samples INTEGER NOT NULL DEFAULT 0, stop TEXT NOT NULL DEFAULT 'n',
  checksum TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(run, image)
) WITHOUT ROWID;
CREATE TABLE documents(name TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
)sql";

// An image at distance √distance2/255 (pixel units squared) that the smoothed classifier answers
// otherwise, with confidence 1 − alpha.
constexpr const char* kDisproofs = R"sql(
CREATE TABLE disproofs(
  run INTEGER NOT NULL REFERENCES runs(id), image INTEGER NOT NULL, distance2 INTEGER NOT NULL,
  radius REAL NOT NULL, rival INTEGER NOT NULL, votes_selected INTEGER NOT NULL,
  votes_rival INTEGER NOT NULL, samples INTEGER NOT NULL, alpha REAL NOT NULL,
  pixels BLOB NOT NULL, seconds REAL NOT NULL, checksum TEXT NOT NULL,
  PRIMARY KEY(run, image)
) WITHOUT ROWID;
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
    db.execute(kDisproofs);
    Statement version(db, "INSERT INTO meta VALUES('created_by', ?)");
    version.bind(0, std::string("smoothcert ") + kVersion).run();
    write_stored_bound(db, kBound);
    db.execute(fmt::format("PRAGMA application_id={}", kApplicationId));
    db.execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
  }
  transaction.commit();
}

void add_column(Database& db, const std::string& table, const std::string& column) {
  db.execute("ALTER TABLE " + table + " ADD COLUMN " + column);
}

void upgrade(Database& db) {
  Transaction transaction(db);
  const std::int64_t version = db.query_integer("PRAGMA user_version");
  if (version < 2) add_column(db, "runs", "p_b TEXT NOT NULL DEFAULT 'complement'");
  if (version < 3) {  // otherwise another process has just done it
    for (const char* column :
         {"rule TEXT NOT NULL DEFAULT 'fixed'", "target REAL NOT NULL DEFAULT 0",
          "checkpoints TEXT NOT NULL DEFAULT ''", "stopped_at TEXT NOT NULL DEFAULT ''",
          "norm TEXT NOT NULL DEFAULT 'l2'", "kind TEXT NOT NULL DEFAULT 'probabilistic'",
          "soundness TEXT NOT NULL DEFAULT ''", "pixels TEXT NOT NULL DEFAULT ''",
          "external TEXT NOT NULL DEFAULT ''"})
      add_column(db, "runs", column);
    db.execute(
        "UPDATE runs SET soundness = CASE noise WHEN 'gaussian' THEN 'real' ELSE 'executed' END");
    add_column(db, "chunks", "label INTEGER NOT NULL DEFAULT -1");
    add_column(db, "chunks", "checksum TEXT NOT NULL DEFAULT ''");
    for (const char* column :
         {"samples INTEGER NOT NULL DEFAULT 0", "stop TEXT NOT NULL DEFAULT 'n'",
          "checksum TEXT NOT NULL DEFAULT ''"})
      add_column(db, "certificates", column);
    db.execute("UPDATE certificates SET samples = (SELECT n FROM runs WHERE id = run)");
    db.execute(kDisproofs);
    write_stored_bound(db, kBeforeChecksums);
    db.execute(fmt::format("PRAGMA user_version={}", kSchemaVersion));
  }
  transaction.commit();
}

}  // namespace

std::int64_t open_schema(Database& db, Database::Access access) {
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
  if (version == kSchemaVersion || access == Database::Access::read_only) return version;
  upgrade(db);
  return kSchemaVersion;
}

}  // namespace smoothcert::store
