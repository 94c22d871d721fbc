// Tables of the results store, their version, and the checks made when a file is opened.
#pragma once

#include <cstdint>
#include <string>

#include "store/sqlite.hpp"

namespace smoothcert::store {

inline constexpr std::int64_t kApplicationId = 0x534D4343;  ///< "SMCC", in the file's header
/// 1: no runs.p_b. 2: no checksums, soundness, stopping rules, disproofs.
inline constexpr std::int64_t kSchemaVersion = 3;

/// Throws Error: not a store, from a newer version (names both), damaged. An empty database is
/// given its tables, and one of an older version brought to this one, when `access` allows it.
/// Returns the version that the file has now.
std::int64_t open_schema(Database& db, Database::Access access);

/// stored_bound() of a store that was just brought to this version: its rows have no checksums yet.
inline constexpr const char* kBeforeChecksums = "before checksums";
/// Version of the bound's formula that the stored radii were derived with; "" where not said.
std::string stored_bound(Database& db);
void write_stored_bound(Database& db, const std::string& bound);

}  // namespace smoothcert::store
