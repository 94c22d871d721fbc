// From the votes of an image to its radius.
#include "smoothcert/vote_bounds.hpp"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <limits>

namespace smoothcert {

VoteBounds bound_votes(const VoteSplit& votes, const BoundSettings& settings) {
  const double sigma = settings.sigma, slack = settings.slack;
  if (settings.p_b == SecondBound::complement) {
    const LowerBound bound =
        lower_confidence_bound(votes.a, votes.n, settings.alpha, settings.sampling, slack);
    return {bound.p_lower, complement_radius(bound.q, sigma, slack)};
  }
  const double share = settings.alpha / 2;
  const LowerBound bound =
      lower_confidence_bound(votes.a, votes.n, share, settings.sampling, slack);
  // Where both bounds hold, so does p_B ≤ 1 − p_A ≤ 1 − p̲_A.
  const double upper = std::min(
      bound.q, upper_confidence_bound(votes.second, votes.n, share, settings.sampling, slack));
  return {bound.p_lower, counted_radius(bound.q, upper, sigma, slack)};
}

double method_ceiling(const VoteSplit& votes, double beta, double sigma, Sampling sampling) {
  const double upper = upper_confidence_bound(votes.a, votes.n, beta, sampling);
  if (upper <= 0.5) return 0;
  if (upper >= 1) return std::numeric_limits<double>::infinity();
  const double z =
      boost::math::constants::root_two<double>() * boost::math::erfc_inv(2 * (1 - upper));
  return sigma * z * (1 + 0x1p-48);
}

}  // namespace smoothcert
