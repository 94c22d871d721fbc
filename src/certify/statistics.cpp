// From counts to certificates.
#include "smoothcert/statistics.hpp"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <sstream>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

void require_level(double alpha) {
  if (alpha > 0 && alpha < 1) return;
  std::ostringstream message;
  message << "alpha must lie strictly between 0 and 1, not " << alpha;
  throw UsageError(message.str());
}

void require_counts(std::uint64_t k, std::uint64_t n) {
  if (n == 0) throw UsageError("a confidence bound needs at least one sample (n = 0)");
  if (k > n)
    throw UsageError("count " + std::to_string(k) + " exceeds the number of samples " +
                     std::to_string(n));
}

void require_sigma(double sigma) {
  if (sigma > 0 && std::isfinite(sigma)) return;
  std::ostringstream message;
  message << "sigma must be positive and finite, not " << sigma;
  throw UsageError(message.str());
}

void require_bound(double p) {
  if (!(p > 0 && p <= 1)) throw UsageError("the bound must lie in (0, 1]");
}

void require_slack(double slack) {
  if (!(slack >= 0 && slack < 1)) throw UsageError("the noise slack must lie in [0, 1)");
}

/// Φ⁻¹(1 − p)
long double normal_upper_quantile(double p) {
  return boost::math::constants::root_two<long double>() * boost::math::erfc_inv(2.0L * p);
}

/// Φ(centre + u) − Φ(centre − u) for centre ≥ 0 and u ≥ 0, rounded down.
long double normal_mass(long double centre, long double u) {
  constexpr long double kGuard = 1 - 1e-12L;
  if (u < 1e-3L) {
    // The difference would lose its digits. It is 2φ(centre)·∫₀ᵘ exp(−s²/2)·cosh(centre·s) ds, and
    // exp(−y) ≥ 1 − y, cosh y ≥ 1 + y²/2.
    const long double c2 = centre * centre, u2 = u * u;
    const long double integral = u * (1 + u2 * ((c2 - 1) / 6 - c2 * u2 / 20));
    const long double density =
        std::exp(-c2 / 2) / boost::math::constants::root_two_pi<long double>();
    return 2 * density * integral * kGuard;
  }
  const auto tail = [](long double x) {
    return boost::math::erfc(x / boost::math::constants::root_two<long double>()) / 2;
  };
  return (tail(centre - u) - tail(centre + u)) * kGuard;
}

/// 1 − p for I_p(a, b) = α, about: the caller verifies.
double inverse_beta_complement(double a, double b, double alpha) {
  try {
    double q = 1;
    boost::math::ibeta_inv(a, b, alpha, &q);
    return q;
  } catch (const std::exception&) {
    // Newton's method inside gives up at levels such as 1e-300. Bisection on log(q/(1−q)) does not.
    double low = -700, high = 40;
    const auto share = [](double logit) { return 1 / (1 + std::exp(-logit)); };
    for (int step = 0; step < 70; ++step) {
      const double middle = (low + high) / 2;
      (boost::math::ibetac(b, a, share(middle)) <= alpha ? high : low) = middle;
    }
    return share(high);
  }
}

double next_down(double x) { return std::nextafter(x, -HUGE_VAL); }

/// The digits of a finite, non-negative number in a form that always has a point or an exponent.
std::string with_point(std::string text) {
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

/// mantissa · 10^exponent as text, mantissa of three digits.
std::string three_digits(int mantissa, int exponent) {
  return std::to_string(mantissa) + "e" + std::to_string(exponent);
}

}  // namespace

LowerBound clopper_pearson_lower(std::uint64_t k, std::uint64_t n, double alpha, double slack) {
  require_level(alpha);
  require_counts(k, n);
  require_slack(slack);
  if (k == 0) return {0, 1};

  const double a = static_cast<double>(k), b = static_cast<double>(n - k) + 1;
  const double q = k == n ? -std::expm1(std::log(alpha) / a)  // p^n = α
                          : inverse_beta_complement(a, b, alpha);
  // ibeta_inv is good to some 1e-14; 1e-12 covers it and all rounding below. The condition that
  // makes q a valid bound is I_{1−q}(k, n−k+1) ≤ α, evaluated in q because 1 − q has lost its
  // digits. Where the inverse was worse than thought, widen until the condition holds.
  double inflation = 1e-12;
  double bound = q * (1 + inflation);
  while (bound < 1 && boost::math::ibetac(b, a, bound) > alpha) {
    inflation *= 2;
    if (inflation > 1e-6) {
      std::ostringstream message;
      message << "cannot verify the confidence bound for k = " << k << ", n = " << n
              << ", alpha = " << alpha;
      throw Error(message.str());
    }
    bound = q * (1 + inflation);
  }
  bound = std::min(1.0, std::nextafter(bound + slack, HUGE_VAL));
  return {std::max(0.0, next_down(1 - bound)), bound};
}

double clopper_pearson_upper(std::uint64_t k, std::uint64_t n, double alpha, double slack) {
  require_counts(k, n);
  // 1 − the lower bound of "not this class".
  return clopper_pearson_lower(n - k, n, alpha, slack).q;
}

double complement_radius(double q, double sigma, double slack) {
  require_sigma(sigma);
  require_bound(q);
  require_slack(slack);
  if (q >= 0.5 || slack >= 0.5) return 0;
  // 2q and 2δ are exact, erfc_inv and erf_inv are good to about 1 ulp and each product adds 1 (in
  // long double where that is wider: less). Lowering the result by 2^−50 of what went into it, 4 to
  // 8 ulp, keeps it below the exact value everywhere (tests compare with 40 digits and with ball
  // arithmetic), at a cost of 9e-16 relative.
  const long double z = normal_upper_quantile(q);
  if (slack == 0) {
    const double radius = static_cast<double>(static_cast<long double>(sigma) * z);
    return std::max(0.0, radius * (1 - 0x1p-50));
  }
  const long double spent =
      boost::math::constants::root_two<long double>() * boost::math::erf_inv(2.0L * slack);
  const long double lost = (z + spent) * 0x1p-50L;
  return std::max(0.0, next_down(static_cast<double>(sigma * (z - spent - lost))));
}

double counted_radius(double q_a, double p_b, double sigma, double slack) {
  require_sigma(sigma);
  require_bound(q_a);
  require_bound(p_b);
  require_slack(slack);
  // p̲_A ≤ p̄_B. Rounding is monotone: a sum of 1 or more cannot come out below 1.
  if (q_a + p_b >= 1) return 0;
  const long double a = normal_upper_quantile(q_a), minus_b = normal_upper_quantile(p_b);
  // The two may be of opposite signs: what was lost is a part of the larger, not of the sum.
  const long double lost = (std::abs(a) + std::abs(minus_b)) * 0x1p-50L;
  if (slack == 0)
    return std::max(0.0, next_down(static_cast<double>(sigma * 0.5L * (a + minus_b - lost))));
  // With half = (a − b)/2 and centre = (a + b)/2, r = σ(half − u): the condition reads
  // Φ(centre + u) − Φ(centre − u) ≥ 2δ, whose left side grows with u and is even in the centre.
  const long double half = (a + minus_b) / 2, centre = std::abs(a - minus_b) / 2;
  if (!(normal_mass(centre, half) >= 2.0L * slack)) return 0;
  long double short_of = 0, enough = half;
  for (int step = 0; step < 80; ++step) {
    const long double u = (short_of + enough) / 2;
    (normal_mass(centre, u) >= 2.0L * slack ? enough : short_of) = u;
  }
  // An error of the centre moves u by no more than itself.
  return std::max(0.0, next_down(static_cast<double>(sigma * (half - enough - 2 * lost))));
}

int top_class(std::span<const std::uint64_t> counts) {
  return static_cast<int>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

double binomial_test_two_sided(std::uint64_t k, std::uint64_t n) {
  if (k > n) require_counts(k, n);
  const std::uint64_t more = std::max(k, n - k);
  if (2 * more == n) return 1;  // n = 0 included
  // P(X ≥ m) = I_½(m, n − m + 1)
  const double m = static_cast<double>(more);
  return std::min(1.0, 2 * boost::math::ibeta(m, static_cast<double>(n - more) + 1, 0.5));
}

std::uint64_t min_samples_to_certify(double alpha) {
  require_level(alpha);
  int n = 1;
  while (std::ldexp(1.0, -n) >= alpha) ++n;  // exact: p̲ > ½ ⇔ 2^−n < α
  return static_cast<std::uint64_t>(n);
}

Interval share_interval(std::uint64_t k, std::uint64_t n, double alpha) {
  require_level(alpha);
  require_counts(k, n);
  const double a = static_cast<double>(k), b = static_cast<double>(n - k);
  Interval interval;
  if (k > 0) interval.low = boost::math::ibeta_inv(a, b + 1, alpha / 2);
  if (k < n) interval.high = boost::math::ibetac_inv(a + 1, b, alpha / 2);
  return interval;
}

std::string format_radius(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value == 0 ? 0.0 : value).ptr;
  return with_point(std::string(text, end));
}

std::string format_radius_compat(double value) {
  if (!(value > 0) || !std::isfinite(value)) return format_radius(value);
  // d.dd e±x to the nearest, then down by one digit where that rounded up.
  char text[64];
  const auto end =
      std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, 2).ptr;
  const std::string nearest(text, end);
  int mantissa = 100 * (nearest[0] - '0') + 10 * (nearest[2] - '0') + (nearest[3] - '0');
  int exponent = std::atoi(nearest.c_str() + 5) - 2;
  if (std::strtod(three_digits(mantissa, exponent).c_str(), nullptr) > value && --mantissa < 100) {
    mantissa = 999;
    --exponent;
  }
  return format_radius(std::strtod(three_digits(mantissa, exponent).c_str(), nullptr));
}

}  // namespace smoothcert
