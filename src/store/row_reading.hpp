// How rows of any table are read: a row that cannot be, or that contradicts itself, is told and
// left out.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "smoothcert/error.hpp"
#include "store/sqlite.hpp"
#include "store/tables.hpp"

namespace smoothcert::store {

/// An integer column that must lie in 0 … `largest`.
inline std::uint64_t bounded(const Statement& row, int column, std::uint64_t largest,
                             const char* name) {
  const std::int64_t value = row.integer(column);
  if (value < 0 || static_cast<std::uint64_t>(value) > largest)
    throw Error(fmt::format("{} is {}, outside 0 … {}", name, value, largest));
  return static_cast<std::uint64_t>(value);
}

/// Calls take(row) for every row of `query`; what it throws is told as a fault of `name(query)`.
template <class Name, class Take>
void each_row(Statement& query, const Reading& reading, Name&& name, Take&& take) {
  while (query.step()) {
    std::string fault;
    try {
      take();
    } catch (const Error& error) {
      fault = error.what();
    }
    if (!fault.empty()) reading.on_fault(name() + ": " + fault);
  }
}

}  // namespace smoothcert::store
