// Charts as PNG, where librsvg and cairo were found at build time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace smoothcert::report {

/// Why charts cannot be made into PNG files in this build; empty when they can.
std::string rasteriser_missing();

/// A standalone SVG drawn at `scale` pixels a unit. Throws Error when it cannot be read or drawn, or
/// rasteriser_missing().
std::vector<std::uint8_t> rasterise(const std::string& svg, double scale);

}  // namespace smoothcert::report
