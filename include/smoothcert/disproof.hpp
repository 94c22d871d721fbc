// A point at which the smoothed classifier does not answer A: the test that confirms it and the
// distance it lies at. Statements about the classifier as executed: δ does not enter.
#pragma once

#include <cstdint>
#include <span>

namespace smoothcert {

/// P(Bin(n_a + n_c, ½) ≥ n_c), rounded up: the p-value of "A is at least as likely as c at x'".
/// n_a and n_c are votes of fresh samples at x', drawn after x' and c were chosen, all of them;
/// other answers are left out (conditional exact test). 1 without votes.
double disproof_p_value(std::uint64_t n_a, std::uint64_t n_c);

/// Distance of two 8-bit images of equal size in [0,1] pixel units, from integers, rounded up.
/// Throws Error for different sizes.
struct ImageDistance {
  std::uint64_t squares = 0;  ///< Σ(255Δ)²
  std::uint64_t units = 0;    ///< Σ|255Δ|
  std::uint32_t largest = 0;  ///< max|255Δ|
  [[nodiscard]] double l1() const;
  [[nodiscard]] double l2() const;
  [[nodiscard]] double linf() const;
};
ImageDistance image_distance(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

}  // namespace smoothcert
