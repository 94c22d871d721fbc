// Noisy versions of an image as pictures: the very draws that certification counts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "smoothcert/noise.hpp"

namespace smoothcert::compare_detail {

/// Samples 0 … copies−1 of the estimation stage, clamped to [0, 255] for display.
std::vector<std::vector<std::uint8_t>> noisy_copies(const NoiseSpec& noise, std::uint32_t image,
                                                    std::span<const std::uint8_t> pixels,
                                                    std::size_t copies);

}  // namespace smoothcert::compare_detail
