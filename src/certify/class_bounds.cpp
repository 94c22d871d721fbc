// Top-k radii and distances to single classes.
#include "smoothcert/class_bounds.hpp"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

constexpr long double kRootTwo = boost::math::constants::root_two<long double>();

double up(double x) { return std::nextafter(x, HUGE_VAL); }
double down(double x) { return std::nextafter(x, -HUGE_VAL); }

/// Φ⁻¹(1 − p), 0 < p < 1
long double upper_quantile(double p) { return kRootTwo * boost::math::erfc_inv(2.0L * p); }

long double normal_cdf(long double x) { return boost::math::erfc(-x / kRootTwo) / 2; }

/// Largest s ≥ 0 with t·(Φ(a − s) − δ) > Φ(b + s) + δ, a = Φ⁻¹(1 − q), b = Φ⁻¹(p); rounded down, 0
/// where there is none.
long double largest_shift(double q, double p, int t, double slack) {
  constexpr long double kGuard = 1e-12L;
  if (q >= 1) return 0;
  const long double a = upper_quantile(q);
  const long double b = p >= 1 ? HUGE_VALL : -upper_quantile(p);
  const auto holds = [&](long double s) {
    return t * (normal_cdf(a - s) * (1 - kGuard) - slack) >
           normal_cdf(b + s) * (1 + kGuard) + slack;
  };
  if (!holds(0)) return 0;
  long double low = 0, high = 1;
  while (holds(high)) high *= 2;  // ends: the left side falls below 0 or underflows
  for (int step = 0; step < 80; ++step) {
    const long double middle = (low + high) / 2;
    (holds(middle) ? low : high) = middle;
  }
  const long double lost = (std::abs(a) + (p >= 1 ? 0 : std::abs(b))) * 0x1p-50L;
  return std::max(0.0L, low - lost);
}

}  // namespace

ClassBounds class_bounds(std::span<const std::uint64_t> counts, std::uint64_t invalid,
                         std::size_t chosen, const BoundSettings& settings) {
  if (chosen >= counts.size())
    throw UsageError("class " + std::to_string(chosen) + " is not one of " +
                     std::to_string(counts.size()) + " classes");
  const std::uint64_t n = std::accumulate(counts.begin(), counts.end(), invalid);
  const double half = settings.alpha / 2, each = half / static_cast<double>(counts.size());
  ClassBounds bounds;
  bounds.chosen = chosen;
  bounds.q_chosen = lower_confidence_bound(counts[chosen], n, half, settings.sampling).q;
  bounds.upper.assign(counts.size(), 1.0);
  for (std::size_t c = 0; c < counts.size(); ++c)
    if (c != chosen)
      bounds.upper[c] = upper_confidence_bound(counts[c], n, each, settings.sampling);
  bounds.upper_none = upper_confidence_bound(invalid, n, each, settings.sampling);
  return bounds;
}

double top_k_radius(std::uint64_t k_votes, std::uint64_t n, std::uint32_t k,
                    const BoundSettings& settings) {
  if (k == 0) throw UsageError("top-k radii need k of 1 or more");
  const LowerBound bound =
      lower_confidence_bound(k_votes, n, settings.alpha, settings.sampling, settings.slack);
  if (k == 1) return complement_radius(bound.q, settings.sigma, settings.slack);
  const double floor = up(up(1.0 / (k + 1.0)) + settings.slack);
  if (bound.q >= 1 || floor >= 1) return 0;
  const long double a = upper_quantile(bound.q), b = upper_quantile(floor);
  const long double lost = (std::abs(a) + std::abs(b)) * 0x1p-50L;
  return std::max(0.0, down(static_cast<double>(settings.sigma * (a + b - lost))));
}

double top_k_radius(const ClassBounds& bounds, std::uint32_t k, const BoundSettings& settings) {
  if (k == 0 || k >= bounds.upper.size())
    throw UsageError("top-" + std::to_string(k) + " radii need 1 ≤ k < " +
                     std::to_string(bounds.upper.size()) + ", the number of classes");
  std::vector<double> rivals = {bounds.upper_none};
  for (std::size_t c = 0; c < bounds.upper.size(); ++c)
    if (c != bounds.chosen) rivals.push_back(bounds.upper[c]);
  std::sort(rivals.begin(), rivals.end(), std::greater<>());
  rivals.resize(k);
  // If k others are at least as likely as y, the t least likely of them hold t times its share.
  const double q = std::min(1.0, up(bounds.q_chosen + settings.slack));
  double sum = 0;
  long double best = 0;
  for (std::uint32_t t = 1; t <= k; ++t) {
    sum = up(sum + rivals[k - t]);
    const double p = up(std::min(sum, bounds.q_chosen) + settings.slack);
    best = std::max(best, largest_shift(q, p, static_cast<int>(t), settings.slack));
  }
  return std::max(0.0, down(static_cast<double>(settings.sigma * best)));
}

std::vector<double> class_distances(const ClassBounds& bounds, const BoundSettings& settings) {
  const auto with_slack = [&](double p) { return std::min(1.0, up(p + settings.slack)); };
  std::vector<double> distances(bounds.upper.size(), 0.0);
  for (std::size_t c = 0; c < bounds.upper.size(); ++c)
    if (c != bounds.chosen)
      distances[c] = counted_radius(with_slack(bounds.q_chosen),
                                    with_slack(std::min(bounds.upper[c], bounds.q_chosen)),
                                    settings.sigma, settings.slack);
  return distances;
}

}  // namespace smoothcert
