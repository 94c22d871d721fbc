// Numbers as text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace smoothcert {

/// Shortest text that reads back as the same bits. Radii for people are format_radius()'s.
std::string shortest_text(double value);

/// A number as people write it, by the C locale: "0.5", "1e-3", or a fraction of two such, "8/255",
/// as the field gives the sizes of attacks. Nothing where the text is neither, or divides by 0.
std::optional<double> parse_real(std::string_view text);

}  // namespace smoothcert
