// Rows of the store's tables as the library's structs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "smoothcert/results.hpp"
#include "store/sqlite.hpp"

namespace smoothcert::store {

/// Throws Error unless the counts add up to `samples`.
void check_total(const StageCounts& counts, std::uint64_t samples, std::uint32_t image);

std::optional<RunInfo> find_run(Database& db, const std::string& key);
std::vector<RunInfo> read_runs(Database& db);  ///< by id
void insert_run(Database& db, const RunSettings& settings, const std::string& key,
                const std::string& started);

std::vector<ChunkCounts> read_chunks(Database& db, std::int64_t run);
std::vector<Certificate> read_certificates(Database& db, std::int64_t run);

void write_document(Database& db, const std::string& key, const std::string& json);
std::optional<std::string> read_document(Database& db, const std::string& key);
std::vector<std::string> read_document_keys(Database& db);

/// Writes rows within the caller's transaction. Returns "" or the line that says how the row
/// contradicts a stored one, which then stays.
class RowWriter {
 public:
  explicit RowWriter(Database& db);
  std::string write(std::int64_t run, const ChunkCounts& chunk);
  std::string write(std::int64_t run, const Certificate& certificate);

 private:
  Statement find_certificate_, insert_certificate_, drop_chunks_, find_overlap_, insert_chunk_;
};

}  // namespace smoothcert::store
