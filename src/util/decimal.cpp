#include "util/decimal.hpp"

#include <fmt/format.h>

#include <charconv>

namespace smoothcert {

std::string shortest_text(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, result.ptr};
}

std::string truncated_text(double value, int digits) {
  if (value == 0) return "0";
  // A double has at most 767 significant decimal digits: this text is exact, so cutting it
  // truncates.
  const std::string exact = fmt::format("{:.766e}", value);
  const std::size_t mark = exact.find('e');
  const std::size_t sign = exact[0] == '-' ? 1 : 0;
  const std::size_t keep = sign + (digits == 1 ? 1 : static_cast<std::size_t>(digits) + 1);
  const std::string cut = exact.substr(0, keep) + exact.substr(mark);
  // The cut text has so few digits that printing its double with as many gives it back.
  return fmt::format("{:.{}g}", std::stod(cut), digits);
}

}  // namespace smoothcert
