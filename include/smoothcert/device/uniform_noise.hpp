// Uniform noise on the pixel lattice (Lee et al. 2019, Yang et al. 2020, in integers).
//
// An integer, uniform on −W/2 … W/2 − 1 with W = 2^b, is added to each 8-bit pixel. It is the upper
// b bits of the pixel's Philox word: exactly uniform, no slack. lattice_noise.hpp clamps and
// scales.
#pragma once

#include <cstdint>

#include "smoothcert/device/hd.hpp"
#include "smoothcert/device/philox.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// Noise of one pixel from its word; `log2_width` = b of 1 … 31.
SMOOTHCERT_HD int uniform_noise(std::uint32_t word, int log2_width) {
  return static_cast<int>(word >> (32 - log2_width)) - (1 << (log2_width - 1));
}

/// Noise of flat CHW pixel p of one sample: word p mod 4 of the sample's Philox group p / 4.
SMOOTHCERT_HD int uniform_noise_at(int log2_width, std::uint64_t seed, std::uint32_t purpose,
                                   std::uint32_t image, std::uint32_t sample, std::uint32_t pixel) {
  return uniform_noise(philox_at(seed, purpose, image, sample, pixel / 4).v[pixel % 4], log2_width);
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
