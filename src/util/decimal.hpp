// Numbers as text.
#pragma once

#include <string>

namespace smoothcert {

/// Shortest text that reads back as the same bits. Radii for people are format_radius()'s.
std::string shortest_text(double value);

}  // namespace smoothcert
