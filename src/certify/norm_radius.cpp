// Balls of other norms inside an L2 ball.
#include "smoothcert/norm_radius.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "smoothcert/error.hpp"

namespace smoothcert {

double lp_radius(double l2_radius, double p, std::size_t pixels) {
  if (!(p >= 1)) {
    std::ostringstream message;
    message << "L" << p << " is no norm; p must be 1 or more";
    throw UsageError(message.str());
  }
  if (pixels == 0) throw UsageError("an image without pixels has no radius");
  if (!(l2_radius >= 0) || !std::isfinite(l2_radius))
    throw UsageError("a radius must be 0 or a positive number");
  if (p <= 2) return l2_radius;
  if (std::isinf(p)) {
    // Root and quotient are rounded to nearest, half an ulp each: two steps down cover both.
    const double nearest = l2_radius / std::sqrt(static_cast<double>(pixels));
    return std::max(0.0, std::nextafter(std::nextafter(nearest, -1), -1));
  }
  // The exponent is off by 2 ulp at most, times log(pixels) < 45; the power and the product add 2.
  const double exponent = 1 / p - 0.5;
  return l2_radius * std::pow(static_cast<double>(pixels), exponent) * (1 - 0x1p-46);
}

}  // namespace smoothcert
