// Tables of the results store, their version, and the checks made when a file is opened.
#pragma once

#include <cstdint>

#include "store/sqlite.hpp"

namespace smoothcert::store {

inline constexpr std::int64_t kApplicationId = 0x534D4343;  ///< "SMCC", in the file's header
inline constexpr std::int64_t kSchemaVersion = 1;

/// Throws Error: not a store, from a newer version (names both), damaged. An empty database is
/// given its tables when `access` allows it.
void open_schema(Database& db, Database::Access access);

}  // namespace smoothcert::store
