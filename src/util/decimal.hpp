// Numbers as text: the shortest that reads back, or rounded towards zero to some digits.
#pragma once

#include <string>

namespace smoothcert {

/// Shortest text that reads back as the same bits; plain notation as "%g" chooses it.
std::string shortest_text(double value);

/// At most `digits` significant digits, trailing zeros dropped, rounded towards zero from the exact
/// binary value: never larger in magnitude. `value` is finite, digits is 1 to 15.
std::string truncated_text(double value, int digits);

}  // namespace smoothcert
