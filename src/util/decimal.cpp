#include "util/decimal.hpp"

#include <charconv>

namespace smoothcert {

std::string shortest_text(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, result.ptr};
}

}  // namespace smoothcert
