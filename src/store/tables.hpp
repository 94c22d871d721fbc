// Rows of the store's tables as the library's structs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "smoothcert/results.hpp"
#include "store/sqlite.hpp"

namespace smoothcert::store {

/// What reading rows takes: the file's schema version and the version of the bound's formula its
/// radii were derived with, and where the lines about faulty rows go. A faulty row is left out.
struct Reading {
  std::int64_t version = 0;
  std::string bound;
  std::function<void(const std::string&)> on_fault;
};

std::optional<RunInfo> find_run(Database& db, const std::string& key, const Reading& reading);
std::optional<RunInfo> find_run(Database& db, std::int64_t id, const Reading& reading);
std::vector<RunInfo> read_runs(Database& db, const Reading& reading);  ///< by id
void insert_run(Database& db, const RunSettings& settings, const std::string& key,
                const std::string& started);

std::vector<ChunkCounts> read_chunks(Database& db, const RunInfo& run, const Reading& reading);
std::vector<Certificate> read_certificates(Database& db, const RunInfo& run,
                                           const Reading& reading);

/// Stores radius, p̲ and prediction as this version of the formula gives them, and checksums where a
/// row has none, for every row that passes its checks. Within the caller's transaction.
void refresh_rows(Database& db, const Reading& reading);
/// Deletes every row that fails its checks. Within the caller's transaction.
std::uint64_t remove_faulty_rows(Database& db, const Reading& reading);

void write_document(Database& db, const std::string& key, const std::string& json);
std::optional<std::string> read_document(Database& db, const std::string& key);
std::vector<std::string> read_document_keys(Database& db);

/// Writes rows within the caller's transaction. Returns "" or the line that says how the row
/// contradicts a stored one, which then stays.
class RowWriter {
 public:
  RowWriter(Database& db, const Reading& reading);
  std::string write(std::int64_t run, const ChunkCounts& chunk);
  std::string write(std::int64_t run, const Certificate& certificate);

 private:
  const RunInfo& info(std::int64_t run);

  Database& db_;
  const Reading& reading_;
  std::map<std::int64_t, RunInfo> runs_;
  Statement find_certificate_, insert_certificate_, drop_chunks_, find_overlap_, insert_chunk_;
};

}  // namespace smoothcert::store
