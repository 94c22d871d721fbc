// Small 8-bit images as PNG: one at a time for the page, in labelled-by-caption panels for
// figures/.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"

namespace smoothcert::report {

/// PNG of a CHW image, each pixel `scale` × `scale`. Channels: 1 grey, 3 RGB; of any other number
/// the first is shown in grey. Throws Error when `pixels` does not have shape.size() values.
std::vector<std::uint8_t> png(std::span<const std::uint8_t> pixels, const ImageShape& shape,
                              int scale);

/// Images in a grid, row by row, `gap` white pixels apart; an empty image leaves its place white.
std::vector<std::uint8_t> png_panel(std::span<const std::vector<std::uint8_t>> images, int columns,
                                    const ImageShape& shape, int scale, int gap);

/// "data:image/png;base64,…"
std::string data_uri(std::span<const std::uint8_t> png_bytes);

}  // namespace smoothcert::report
