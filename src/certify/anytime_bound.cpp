// The anytime bound: a confidence sequence from a truncated uniform mixture, one-sided (Robbins
// 1970; docs/certificates.md has the proof).
#include "smoothcert/anytime_bound.hpp"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <sstream>
#include <string>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

// log M comes out of special functions that lose some 1e-9 at n = 1e7 and more beyond.
constexpr double kGuard = 1e-6;

void require_level(double level) {
  if (level > 0 && level < kAnytimeLevelLimit) return;
  std::ostringstream message;
  message << "an anytime bound needs a level between 0 and 1/3, not " << level;
  throw UsageError(message.str());
}

void require_counts(std::uint64_t k, std::uint64_t n) {
  if (n == 0) throw UsageError("a confidence bound needs at least one sample (n = 0)");
  if (k > n)
    throw UsageError("count " + std::to_string(k) + " exceeds the number of samples " +
                     std::to_string(n));
}

/// log M(1 − q) = log of ∫₀^q v^f (1−v)^k dv / (q · q^f (1−q)^k), f = n − k.
double log_mixture(double q, std::uint64_t k, std::uint64_t n) {
  const auto a = static_cast<double>(n - k) + 1, b = static_cast<double>(k) + 1;
  if (n == k) {
    const double log_p = std::log1p(-q);
    return std::log(-std::expm1(b * log_p)) - std::log(b) - std::log(q) - (b - 1) * log_p;
  }
  return std::log(boost::math::ibeta(a, b, q)) - std::log(q) -
         std::log(boost::math::ibeta_derivative(a, b, q));
}

bool rejects(double q, std::uint64_t k, std::uint64_t n, double log_threshold) {
  // Below, M ≤ e. Only above is M monotone, and its terms are far from underflow together.
  if (q < (static_cast<double>(n - k) + 1) / (static_cast<double>(n) + 1)) return false;
  return log_mixture(q, k, n) - kGuard >= log_threshold;
}

}  // namespace

bool anytime_rejects(double q, std::uint64_t k, std::uint64_t n, double level) {
  require_level(level);
  require_counts(k, n);
  if (!(q > 0 && q < 1)) throw UsageError("only shares inside (0, 1) can be rejected");
  return k > 0 && rejects(q, k, n, -std::log(level));
}

LowerBound anytime_lower(std::uint64_t k, std::uint64_t n, double level, double slack) {
  require_level(level);
  require_counts(k, n);
  if (!(slack >= 0 && slack < 1)) throw UsageError("the noise slack must lie in [0, 1)");
  if (k == 0) return {0, 1};
  const double log_threshold = -std::log(level);
  // M grows with q from at most e: on log q, because q may be 1e-9. The bound is a q that was
  // itself seen to be rejected; p = 0 always is.
  double kept = std::log((static_cast<double>(n - k) + 1) / (static_cast<double>(n) + 1));
  double rejected = 0, q = 1;
  for (int step = 0; step < 60; ++step) {
    const double middle = (kept + rejected) / 2, candidate = std::exp(middle);
    if (candidate < 1 && rejects(candidate, k, n, log_threshold)) {
      rejected = middle;
      q = candidate;
    } else {
      kept = middle;
    }
  }
  const double bound = std::min(1.0, std::nextafter(q * (1 + 1e-12) + slack, HUGE_VAL));
  return {std::max(0.0, std::nextafter(1 - bound, -HUGE_VAL)), bound};
}

double anytime_upper(std::uint64_t k, std::uint64_t n, double level, double slack) {
  require_counts(k, n);
  return anytime_lower(n - k, n, level, slack).q;
}

LowerBound lower_confidence_bound(std::uint64_t k, std::uint64_t n, double alpha, Sampling sampling,
                                  double slack) {
  if (!sampling.sequential()) return clopper_pearson_lower(k, n, alpha, slack);
  if (n > sampling.n_max)
    throw UsageError(std::to_string(n) + " samples exceed the largest number, " +
                     std::to_string(sampling.n_max) + ", that the run was to draw");
  const LowerBound anytime = anytime_lower(k, n, alpha / 2, slack);
  if (n < sampling.n_max) return anytime;
  const LowerBound last = clopper_pearson_lower(k, n, alpha / 2, slack);
  return last.q < anytime.q ? last : anytime;
}

double upper_confidence_bound(std::uint64_t k, std::uint64_t n, double alpha, Sampling sampling,
                              double slack) {
  require_counts(k, n);
  return lower_confidence_bound(n - k, n, alpha, sampling, slack).q;
}

}  // namespace smoothcert
