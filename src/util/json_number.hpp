// Whole numbers in JSON from outside: nlohmann converts what does not fit, and casts a float that
// leaves the integer's range, which is undefined.
#pragma once

#include <cstdint>
#include <utility>

namespace smoothcert {

/// Whether `json` is an integer literal that `Int` can hold.
template <class Int, class Json>
bool holds_whole(const Json& json) {
  if (json.is_number_unsigned()) return std::in_range<Int>(json.template get<std::uint64_t>());
  return json.is_number_integer() && std::in_range<Int>(json.template get<std::int64_t>());
}

}  // namespace smoothcert
