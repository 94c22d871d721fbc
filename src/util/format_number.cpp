// Numbers as people read them.
#include "util/format_number.hpp"

#include <fmt/format.h>

#include <cmath>

namespace smoothcert {
namespace {

constexpr const char* kNone = "–";

}  // namespace

std::string format_down(double value, int decimals) {
  if (!std::isfinite(value)) return kNone;
  // A double's decimal expansion is finite: print more of it than is shown, and cut the text.
  std::string text = fmt::format("{:.{}f}", value, decimals + 60);
  text.resize(text.size() - (decimals == 0 ? 61 : 60));
  if (text.starts_with('-') && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  return text;
}

std::string format_fixed(double value, int decimals) {
  if (!std::isfinite(value)) return kNone;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string format_percent(double share, int decimals) {
  if (!std::isfinite(share) || share < 0) return kNone;
  return fmt::format("{:.{}f}", 100.0 * share, decimals);
}

std::string format_shortest(double value) {
  if (!std::isfinite(value)) return kNone;
  return fmt::format("{}", value == std::floor(value) && std::fabs(value) < 1e15
                               ? fmt::format("{:.0f}", value)
                               : fmt::format("{}", value));
}

std::string format_count(std::uint64_t value) {
  std::string text = fmt::format("{}", value);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", format_count(count), noun, count == 1 ? "" : "s");
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return kNone;
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace smoothcert
