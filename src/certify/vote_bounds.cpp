// From the votes of an image to its radius.
#include "smoothcert/vote_bounds.hpp"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <limits>

#include "smoothcert/error.hpp"
#include "smoothcert/l1_certificates.hpp"

namespace smoothcert {

namespace {

/// From q = 1 − p̲_A and p̄_B.
double radius_of(double q, double p_b, const BoundSettings& settings) {
  switch (noise_traits(settings.law).rule) {
    case NoiseTraits::Rule::gaussian_votes:
      return settings.p_b == SecondBound::complement
                 ? complement_radius(q, settings.sigma, settings.slack)
                 : counted_radius(q, p_b, settings.sigma, settings.slack);
    case NoiseTraits::Rule::uniform_votes:
      return uniform_certificate(q, p_b, settings.width, settings.slack).radius;
    case NoiseTraits::Rule::all_splits:
      break;
  }
  throw Error("splitting noise is not sampled: its votes have no bounds");
}

}  // namespace

VoteBounds bound_votes(const VoteSplit& votes, const BoundSettings& settings) {
  const double slack = settings.slack;
  if (settings.p_b == SecondBound::complement) {
    const LowerBound bound =
        lower_confidence_bound(votes.a, votes.n, settings.alpha, settings.sampling, slack);
    return {bound.p_lower, radius_of(bound.q, bound.q, settings)};
  }
  const double share = settings.alpha / 2;
  const LowerBound bound =
      lower_confidence_bound(votes.a, votes.n, share, settings.sampling, slack);
  // Where both bounds hold, so does p_B ≤ 1 − p_A ≤ 1 − p̲_A.
  const double upper = std::min(
      bound.q, upper_confidence_bound(votes.second, votes.n, share, settings.sampling, slack));
  return {bound.p_lower, radius_of(bound.q, upper, settings)};
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
