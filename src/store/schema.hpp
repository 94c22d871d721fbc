// Tables of the results store, their version, and the checks made when a file is opened.
#pragma once

#include <cstdint>

#include "store/sqlite.hpp"

namespace smoothcert::store {

inline constexpr std::int64_t kApplicationId = 0x534D4343;  ///< "SMCC", in the file's header
inline constexpr std::int64_t kSchemaVersion = 2;  ///< 1: no runs.p_b

/// Throws Error: not a store, from a newer version (names both), damaged. An empty database is
/// given its tables, and one of an older version brought to this one, when `access` allows it.
void open_schema(Database& db, Database::Access access);

/// Whether runs say which p̄_B they took; before version 2 it was the complement.
bool has_p_b(Database& db);

}  // namespace smoothcert::store
