// Confidence bounds of a share that hold at every number of samples at once: for runs that stop
// when they have seen enough. A Clopper–Pearson bound read at such a moment is false.
#pragma once

#include <cstdint>

#include "smoothcert/statistics.hpp"

namespace smoothcert {

/// How the number of samples came about, which decides what bound is true.
struct Sampling {
  std::uint64_t n_max = 0;  ///< 0: n was fixed beforehand

  [[nodiscard]] bool sequential() const { return n_max != 0; }
  static Sampling fixed() { return {}; }
  /// At most `n_max` samples, stopped at any moment for any reason.
  static Sampling up_to(std::uint64_t n_max) { return {n_max}; }
};

/// Levels of one anytime bound lie below this.
inline constexpr double kAnytimeLevelLimit = 1.0 / 3;

/// Whether k votes of n reject p = 1 − q at `level`: M ≥ 1/level, where M is the likelihood ratio
/// of (p, 1], uniformly mixed, against p. M is a non-negative supermartingale under every share
/// ≤ p, so that the chance of ever rejecting a p that is no smaller than the true share is at most
/// `level` (Ville). A guard of 1e-6 in log M covers rounding.
bool anytime_rejects(double q, std::uint64_t k, std::uint64_t n, double level);

/// The smallest share that is not rejected, at whatever n ≥ 1 the samples were stopped: with
/// probability 1 − level it lies below the true share at all n together. Never above
/// Clopper–Pearson's at the same level. `slack` as in clopper_pearson_lower. Throws UsageError for
/// k > n, n = 0, levels outside (0, 1/3).
LowerBound anytime_lower(std::uint64_t k, std::uint64_t n, double level, double slack = 0);

/// 1 − anytime_lower of "not this class"; for the largest count of several classes it bounds the
/// likeliest one, as clopper_pearson_upper does.
double anytime_upper(std::uint64_t k, std::uint64_t n, double level, double slack = 0);

/// The bound that counts allow at `alpha`. n fixed beforehand: Clopper–Pearson. Sequential: the
/// anytime bound at α/2, and at n = n_max the larger of it and Clopper–Pearson at α/2, the share
/// reserved for the last look. Throws UsageError for n > n_max and, when sequential, α ≥ 2/3.
LowerBound lower_confidence_bound(std::uint64_t k, std::uint64_t n, double alpha, Sampling sampling,
                                  double slack = 0);
double upper_confidence_bound(std::uint64_t k, std::uint64_t n, double alpha, Sampling sampling,
                              double slack = 0);

}  // namespace smoothcert
