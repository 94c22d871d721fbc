// Robust radii from both sides: certificates from below, disproofs from above.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/disproof.hpp"

namespace smoothcert {

/// A tested image. Where the test confirmed its point, the robust radius lies in [radius, distance]
/// with confidence 1 − α − α_d. L2, in [0,1] pixel units.
struct Bracket {
  std::uint32_t image = 0;
  double radius = 0;    ///< certified
  double distance = 0;  ///< of the point that was tested
  bool confirmed = false, correct = false;
};
/// In the order of the disproofs; those of images without a certificate are left out.
std::vector<Bracket> brackets(std::span<const Certificate> certificates,
                              std::span<const Disproof> disproofs);

struct BracketSummary {
  std::size_t tested = 0, confirmed = 0;
  std::size_t below = 0;  ///< confirmed points within the certified radius: see contradictions()
  /// Medians over confirmed images, of distance / radius the last one; −1 without any.
  double radius = -1, distance = -1, ratio = -1;
};
BracketSummary summarise(std::span<const Bracket> brackets);

}  // namespace smoothcert
