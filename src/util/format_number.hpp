// Numbers as people read them. Radii and bounds are cut, never rounded up: a printed radius must
// not claim more than was certified.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace smoothcert {

/// `value` cut (towards zero) to `decimals` places; "–" when it is not finite.
std::string format_down(double value, int decimals);

/// `value` rounded to nearest to `decimals` places; "–" when it is not finite.
std::string format_fixed(double value, int decimals);

/// 100·share with `decimals` places and no sign: 0.9653 → "96.53". "–" below 0 or not finite.
std::string format_percent(double share, int decimals);

/// Shortest text that reads back as `value`: 0.05 → "0.05", 1 → "1".
std::string format_shortest(double value);

/// 10000 → "10,000".
std::string format_count(std::uint64_t value);

/// 1, "image" → "1 image"; 2000 → "2,000 images".
std::string counted(std::uint64_t count, std::string_view noun);

/// 75 → "1 min 15 s"; 0.4 → "0.4 s".
std::string format_duration(double seconds);

}  // namespace smoothcert
