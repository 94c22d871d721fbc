// Stopping rules of sequential runs.
#include "smoothcert/stopping.hpp"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

// The chance of giving up on an image that n_max samples would have certified. It costs power,
// never truth.
constexpr double kGiveUpLevel = 1e-3;
constexpr std::uint64_t kFirstCheckpoint = 500;
constexpr std::uint64_t kMostSamples = (std::uint64_t{1} << 32) - 1;

std::string number(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

/// Φ⁻¹(1 − p), infinite for p ≤ 0.
double upper_quantile(double p) {
  if (p <= 0) return std::numeric_limits<double>::infinity();
  if (p >= 1) return -std::numeric_limits<double>::infinity();
  return boost::math::constants::root_two<double>() * boost::math::erfc_inv(2 * p);
}

/// The radius of an image whose shares are as good as these votes allow at `level`.
double hoped_radius(const VoteSplit& votes, const BoundSettings& settings, double level) {
  if (noise_traits(settings.law).rule == NoiseTraits::Rule::uniform_votes) {
    const double half = settings.width / 255.0 / 2;
    const double most = clopper_pearson_upper(votes.a, votes.n, level);
    if (settings.p_b == SecondBound::complement) return half * (2 * most - 1);
    return half * (most - clopper_pearson_lower(votes.second, votes.n, level).p_lower);
  }
  const double a = upper_quantile(1 - clopper_pearson_upper(votes.a, votes.n, level));
  if (settings.p_b == SecondBound::complement) return settings.sigma * a;
  const double b = upper_quantile(clopper_pearson_lower(votes.second, votes.n, level).p_lower);
  return settings.sigma / 2 * (a + b);
}

double unanimous_radius(std::uint64_t n_max, BoundSettings settings) {
  settings.sampling = Sampling::up_to(n_max);
  return bound_votes({n_max, 0, n_max}, settings).radius;
}

}  // namespace

VoteSplit projected(const VoteSplit& votes, std::uint64_t n) {
  const auto scaled = [&](std::uint64_t count) {
    return (count * n + votes.n / 2) / votes.n;  // both below 2^32
  };
  return {n - scaled(votes.n - votes.a), scaled(votes.second), n};
}

std::vector<std::uint64_t> checkpoints(std::uint64_t n_max) {
  std::vector<std::uint64_t> at;
  for (std::uint64_t n = kFirstCheckpoint; n < n_max; n += (n + 3) / 4) at.push_back(n);
  at.push_back(n_max);
  return at;
}

std::optional<std::uint64_t> samples_for_radius(double radius, BoundSettings settings) {
  const double most = unanimous_radius(kMostSamples, settings);
  if (!(most > 0) || most < radius) return std::nullopt;
  std::uint64_t low = 0, high = kMostSamples;  // too few, enough
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    const double reached = unanimous_radius(middle, settings);
    (reached > 0 && reached >= radius ? high : low) = middle;
  }
  return high;
}

void validate(const Stopping& stopping, const BoundSettings& settings) {
  const Sampling& sampling = settings.sampling;
  if (!sampling.sequential()) {
    if (stopping.rule != StopRule::at_n_max)
      throw UsageError("a stopping rule needs a sequential run: its bound must hold at any n");
    return;
  }
  if (sampling.n_max > kMostSamples)
    throw UsageError("n_max is " + std::to_string(sampling.n_max) + "; at most " +
                     std::to_string(kMostSamples) + " samples are possible");
  if (!(settings.alpha > 0 && settings.alpha < 2 * kAnytimeLevelLimit))
    throw UsageError("alpha is " + number(settings.alpha) +
                     "; runs that stop early need it between 0 and 2/3");
  if (stopping.rule == StopRule::within && !(stopping.target > 0 && stopping.target < 1))
    throw UsageError("images cannot stop within " + number(stopping.target) +
                     " of their radius; it must be a share between 0 and 1, such as 0.05 or 5%");
  const double wanted = stopping.rule == StopRule::at ? stopping.target : 0;
  if (!(wanted >= 0) || !std::isfinite(wanted))
    throw UsageError("images cannot stop at radius " + number(wanted) +
                     "; it must be 0 or a positive number");
  const double ceiling = unanimous_radius(sampling.n_max, settings);
  if (ceiling > 0 && ceiling >= wanted) return;
  const auto needed = samples_for_radius(wanted, settings);
  const std::string what = wanted > 0 ? "radius " + number(wanted) + " is out of reach: n = "
                                      : "nothing can be certified: n = ";
  throw UsageError(
      what + std::to_string(sampling.n_max) + " unanimous votes at alpha = " +
      number(settings.alpha) + " certify " + format_radius(ceiling) +
      (needed ? ", it takes n = " + std::to_string(*needed) : ", and no n below 2^32 is enough"));
}

std::optional<StopReason> stop_here(const VoteSplit& votes, const BoundSettings& settings,
                                    const Stopping& stopping, std::size_t looks) {
  const std::uint64_t n_max = settings.sampling.n_max;
  if (votes.n >= n_max) return StopReason::n_max;
  if (stopping.rule == StopRule::at_n_max) return std::nullopt;
  const double radius = bound_votes(votes, settings).radius;
  if (radius > 0) {
    if (stopping.rule == StopRule::at) {
      if (radius >= stopping.target) return StopReason::decided;
    } else if (radius >=
               (1 - stopping.target) * bound_votes(projected(votes, n_max), settings).radius) {
      return StopReason::target;
    }
  }
  if (hoped_radius(votes, settings, kGiveUpLevel) <= 0) return StopReason::futile;
  if (stopping.rule == StopRule::at &&
      hoped_radius(votes, settings,
                   kGiveUpLevel / static_cast<double>(std::max<std::size_t>(looks, 1))) <
          stopping.target)
    return StopReason::decided;
  return std::nullopt;
}

}  // namespace smoothcert
