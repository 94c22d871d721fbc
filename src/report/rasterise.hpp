// Charts as PNG and PDF, where librsvg and cairo were found at build time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace smoothcert::report {

/// Why charts cannot be made into PNG and PDF files in this build; empty when they can.
std::string rasteriser_missing();

/// A standalone SVG drawn at `scale` pixels a unit. Throws Error when it cannot be read or drawn,
/// or rasteriser_missing().
std::vector<std::uint8_t> rasterise(const std::string& svg, double scale);

/// The same as one page of PDF, its text kept as text; throws likewise.
std::vector<std::uint8_t> pdf(const std::string& svg);

}  // namespace smoothcert::report
