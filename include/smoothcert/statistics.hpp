// From counts to certificates. Look here first for "where is the radius computed".
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace smoothcert {

/// Work with q = 1 − p̲: 1 − q loses digits at n = 1e7.
struct LowerBound {
  double p_lower = 0;  ///< one-sided lower confidence bound of p_A, rounded down
  double q = 1;        ///< 1 − p̲, inflated by 1e-12 relative and by the noise slack δ
};

/// Clopper–Pearson: p̲ = BetaInv(α; k, n−k+1); 0 for k = 0. `slack` is δ, the total-variation
/// distance of the noise as drawn from the ideal law. Throws UsageError for k > n, n = 0, α outside
/// (0,1).
LowerBound clopper_pearson_lower(std::uint64_t k, std::uint64_t n, double alpha, double slack = 0);

/// p̄_B at level α: no class but A is likelier than this with probability 1 − α, where `k` is the
/// largest count of them. One bound does for all of them: the class that is likeliest does not
/// depend on the sample, and its own bound is no larger. Rounded up, with `slack`, as above.
double clopper_pearson_upper(std::uint64_t k, std::uint64_t n, double alpha, double slack = 0);

// Radii. δ is spent twice: the bounds q, q_a and p_b hold it once already, which takes them from
// the law as executed at x to the ideal one, for which Cohen et al. 2019 prove their theorem;
// `slack` is δ again, for the way back at x' (docs/certificates.md).

/// σ·(Φ⁻¹(1 − q) − Φ⁻¹(½ + δ)), rounded down so that it never exceeds the exact value; a result < 0
/// is returned as 0. (Cohen et al. 2019, Theorem 1 with p̄_B = 1 − p̲_A, for δ = 0.)
double complement_radius(double q, double sigma, double slack = 0);

/// The largest r with Φ(a − r/σ) − Φ(b + r/σ) ≥ 2δ, a = Φ⁻¹(1 − q_a), b = Φ⁻¹(p_b), rounded down; 0
/// where there is none. For δ = 0: σ/2·(a − b), Cohen et al. 2019, Theorem 1. Both bounds must hold
/// at once.
double counted_radius(double q_a, double p_b, double sigma, double slack = 0);

/// Index of the largest count; ties go to the lowest index.
int top_class(std::span<const std::uint64_t> counts);

/// p-value of the two-sided binomial test that the two leading counts are equally likely
/// (Hung & Fithian 2019), as PREDICT uses it.
double binomial_test_two_sided(std::uint64_t k, std::uint64_t n);

/// Smallest n for which k = n certifies a positive radius at α: ⌊log α / log ½⌋ + 1 (without
/// slack).
std::uint64_t min_samples_to_certify(double alpha);

/// Exact Clopper–Pearson interval (two-sided, level 1 − α) for a share over images.
struct Interval {
  double low = 0, high = 1;
};
Interval share_interval(std::uint64_t k, std::uint64_t n, double alpha);

/// Shortest decimal text that reads back as exactly `value` (a finite radius ≥ 0): never larger.
/// Always with a point or an exponent: "0.0", "1.5", "2.5e-07".
std::string format_radius(double value);

/// Three significant digits, rounded down: what the field's scripts print with {:.3}, except that
/// theirs can round up past what was certified. Reads back ≤ `value`.
std::string format_radius_compat(double value);

}  // namespace smoothcert
