// Nesting that no honest file has. The parser itself could stand it; copying and printing recurse.
#pragma once

#include <string>

#include "smoothcert/error.hpp"

namespace smoothcert {

constexpr int kMostJsonDepth = 64;

/// A callback for basic_json::parse() that throws UsageError beyond kMostJsonDepth.
template <class Json>
auto limit_json_depth(const std::string& where) {
  return [where](int depth, typename Json::parse_event_t, Json&) {
    if (depth > kMostJsonDepth)
      throw UsageError(where + ": nested more than " + std::to_string(kMostJsonDepth) + " deep");
    return true;
  };
}

}  // namespace smoothcert
