// An L2 radius as a radius in another norm.
#pragma once

#include <cstddef>

namespace smoothcert {

/// The largest Lp ball inside the L2 ball of `l2_radius`, of images of `pixels` values: the radius
/// itself for 1 ≤ p ≤ 2, radius·pixels^−(½ − 1/p) beyond, radius/√pixels for p = ∞. Rounded down.
/// Throws UsageError for p < 1 or NaN, pixels = 0, a radius that is negative, infinite or NaN.
double lp_radius(double l2_radius, double p, std::size_t pixels);

}  // namespace smoothcert
