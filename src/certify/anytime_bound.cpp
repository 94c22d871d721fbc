// The anytime bound: a confidence sequence from a truncated uniform mixture, one-sided (Robbins
// 1970; docs/certificates.md has the proof).
#include "smoothcert/anytime_bound.hpp"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <sstream>
#include <string>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

// log M comes out of special functions that lose some 1e-9 at n = 1e7 and more beyond.
constexpr double kGuard = 1e-6;

// Long double would be five times slower and buys nothing beside the guard.
using Doubles = boost::math::policies::policy<boost::math::policies::promote_double<false>>;

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
  return std::log(boost::math::ibeta(a, b, q, Doubles())) - std::log(q) -
         std::log(boost::math::ibeta_derivative(a, b, q, Doubles()));
}

/// By how much log M exceeds what rejects 1 − q; rejected where ≥ 0.
double excess(double q, std::uint64_t k, std::uint64_t n, double level) {
  // Below, M ≤ e. Only above is M monotone, and its terms do not underflow together.
  if (q < (static_cast<double>(n - k) + 1) / (static_cast<double>(n) + 1)) return -1;
  const double more = log_mixture(q, k, n) - kGuard + std::log(level);
  return std::isnan(more) ? -1 : std::min(more, 1e3);
}

}  // namespace

bool anytime_rejects(double q, std::uint64_t k, std::uint64_t n, double level) {
  require_level(level);
  require_counts(k, n);
  if (!(q > 0 && q < 1)) throw UsageError("only shares inside (0, 1) can be rejected");
  return k > 0 && excess(q, k, n, level) >= 0;
}

LowerBound anytime_lower(std::uint64_t k, std::uint64_t n, double level, double slack) {
  require_level(level);
  require_counts(k, n);
  if (!(slack >= 0 && slack < 1)) throw UsageError("the noise slack must lie in [0, 1)");
  if (k == 0) return {0, 1};
  // M grows with q from at most e at q = (f + 1)/(n + 1). The bound is a q that was itself seen to
  // be rejected, found on log(q/(1−q)), because q may be 1e-9 or 1 − 1e-9.
  const auto share = [](double logit) { return 1 / (1 + std::exp(-logit)); };
  const auto above = [&](double logit) {
    const double q = share(logit);
    // p = 0 is always rejected.
    return q < 1 ? excess(q, k, n, level) : 1e3;
  };
  const double f = static_cast<double>(n - k) + 1, hits = static_cast<double>(k);
  double kept = std::log(f / hits), kept_excess = -1, step = std::sqrt(1 / f + 1 / hits);
  double rejected = kept + step, rejected_excess = above(rejected);
  while (rejected_excess < 0) {
    kept = rejected;
    kept_excess = rejected_excess;
    step *= 2;
    rejected += step;
    rejected_excess = above(rejected);
  }
  if (rejected_excess > 0) {
    std::uintmax_t most = 200;
    const auto close = [](double low, double high) { return high - low < 1e-12; };
    rejected = boost::math::tools::toms748_solve(above, kept, rejected, kept_excess,
                                                 rejected_excess, close, most)
                   .second;
  }
  double q = share(rejected);
  // The solver ends on either side of a root that it hits.
  for (double wider = 1e-15; q < 1 && excess(q, k, n, level) < 0; wider *= 2)
    q = std::min(1.0, share(rejected + wider));
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
