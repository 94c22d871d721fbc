// Certificates in the L1 norm from noise that is uniform on the pixel lattice, or that splits it.
// Distances are counted in units of 1/255: images x and x' of 8-bit pixels are Σ|255x − 255x'|
// units apart.
#pragma once

#include <cstdint>
#include <span>

#include "smoothcert/statistics.hpp"

namespace smoothcert {

/// Uniform noise: an integer, uniform on W consecutive ones, is added to each 8-bit pixel. An L1
/// ball; `units` = 0 and radius = 0 where nothing is certified.
struct UniformCertificate {
  std::uint64_t units = 0;  ///< the answer is A for all 8-bit images at most so many units away
  double radius = 0;        ///< (W/255)(p̲ − ½), rounded down: the answer is A closer than this
};

/// From q = 1 − p̲, which holds δ once already (clopper_pearson_lower); `slack` is that δ, 0 for
/// W = 2^b. (Lee et al. 2019, Yang et al. 2020, in integers.)
UniformCertificate uniform_certificate(double q, std::uint32_t width, double slack = 0);
/// The same with a bound of the strongest rival of its own, p_b ≤ q: (W/255)(p̲ − p̄_B)/2.
UniformCertificate uniform_certificate(double q, double p_b, std::uint32_t width, double slack);

/// Splitting noise (Levine & Feizi 2021, DSSN): all W splits are evaluated, nothing is sampled.
struct SplitCertificate {
  int prediction = -1;  ///< most votes, ties to the lowest index; −1 where no split was answered
  std::uint64_t units = 0;  ///< K: exactly, the answer is `prediction` for all 8-bit images at most
                            ///< K units away
  double radius = 0;        ///< K/255, rounded down
};

/// K = ⌊(N_A − N_B − [B < A])/2⌋, the least over B ≠ A. Splits without an answer vote for nobody.
/// Throws Error unless the votes add up to `width` and W ≥ 255 (at least one split a pixel range).
SplitCertificate split_certificate(std::span<const std::uint64_t> votes, std::uint64_t invalid,
                                   std::uint32_t width);

/// W = round(510·λ): splits of λ, in [0,1] pixel units. Throws UsageError for λ < ½ (W < 255) and
/// for W ≥ 2^20.
std::uint32_t split_width(double lambda);

}  // namespace smoothcert
