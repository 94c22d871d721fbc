// 16-bit floating-point formats: widened exactly, and rounded to.
#pragma once

#include <bit>
#include <cstdint>

namespace smoothcert {

inline float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// IEEE binary16, subnormals, infinities and NaN included.
inline float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 31u, fraction = bits & 1023u;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

/// The nearest IEEE binary16, ties to even: one rounding, also to subnormals; beyond 65,519.99 an
/// infinity.
inline std::uint16_t double_to_half(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 48 & 0x8000u);
  const std::uint64_t magnitude = bits & 0x7FFFFFFFFFFFFFFFu;
  if (magnitude > 0x7FF0000000000000u) return sign | 0x7E00u;  // NaN
  if (magnitude < 0x3F10000000000000u) {                       // below 2^-14: multiples of 2^-24
    const double shifted = std::bit_cast<double>(magnitude) * 0x1p24 + 0x1.8p52;
    return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint64_t>(shifted) & 0x7FFu);
  }
  const std::uint64_t rounded = magnitude + 0x1FFFFFFFFFFu + (magnitude >> 42 & 1u);
  if (rounded >= 0x40F0000000000000u) return sign | 0x7C00u;  // 2^16 and above
  return sign | static_cast<std::uint16_t>((rounded >> 42) - (std::uint64_t{1008} << 10));
}

}  // namespace smoothcert
