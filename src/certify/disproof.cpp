// Confirmed points at which the smoothed classifier does not answer A.
#include "smoothcert/disproof.hpp"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <cstdlib>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

// Square root and quotient are rounded to nearest, half an ulp each, and so may the integer be.
double round_up(double x) {
  for (int step = 0; step < 3; ++step) x = std::nextafter(x, HUGE_VAL);
  return x;
}

double grey_levels(double distance) { return distance > 0 ? round_up(distance / 255) : 0; }

}  // namespace

double disproof_p_value(std::uint64_t n_a, std::uint64_t n_c) {
  if (n_c == 0) return 1;
  // P(X ≥ m) = I_½(m, n − m + 1); 1e-9 covers what the function may be short of.
  const double tail =
      boost::math::ibeta(static_cast<double>(n_c), static_cast<double>(n_a) + 1, 0.5);
  return std::min(1.0, tail * (1 + 1e-9) + 1e-300);
}

double ImageDistance::l1() const { return grey_levels(static_cast<double>(units)); }
double ImageDistance::l2() const { return grey_levels(std::sqrt(static_cast<double>(squares))); }
double ImageDistance::linf() const { return grey_levels(largest); }

ImageDistance image_distance(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  if (a.size() != b.size())
    throw Error("images of " + std::to_string(a.size()) + " and " + std::to_string(b.size()) +
                " values have no distance");
  ImageDistance distance;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto difference = static_cast<std::uint32_t>(std::abs(int{a[i]} - int{b[i]}));
    distance.squares += std::uint64_t{difference} * difference;
    distance.units += difference;
    distance.largest = std::max(distance.largest, difference);
  }
  return distance;
}

Contradictions contradictions(std::uint64_t tests, std::uint64_t found, double alpha,
                              double alpha_test) {
  Contradictions result{tests, found, 1};
  const double chance = std::min(1.0, alpha + alpha_test);
  if (found > 0)  // P(Bin(n, p) ≥ k) = I_p(k, n − k + 1)
    result.p_value = boost::math::ibeta(static_cast<double>(found),
                                        static_cast<double>(tests - found) + 1, chance);
  return result;
}

}  // namespace smoothcert
