// When an image has been sampled enough. A policy: the bounds of anytime_bound.hpp are true
// whatever it decides.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "smoothcert/vote_bounds.hpp"

namespace smoothcert {

enum class StopRule {
  at_n_max,  ///< never early
  within,    ///< the radius is within a share of what n_max samples promise
  at,        ///< it is known whether the radius reaches a target
};

enum class StopReason {
  target,       ///< rule `within`: close enough
  decided,      ///< rule `at`: the radius reaches the target, or will most likely not
  futile,       ///< A is most likely not certifiable at all: the image abstains
  n_max,        ///< all samples were drawn
  interrupted,  ///< by the user; the bound holds, the image may go on
};

template <>
struct Names<StopRule> {
  static constexpr const char* kWhat = "stopping rule";
  static constexpr NamedValue<StopRule> kValues[] = {
      {StopRule::at_n_max, "n_max"}, {StopRule::within, "within"}, {StopRule::at, "at"}};
};
template <>
struct Names<StopReason> {
  static constexpr const char* kWhat = "reason to stop";
  static constexpr NamedValue<StopReason> kValues[] = {{StopReason::n_max, "n"},
                                                       {StopReason::target, "target"},
                                                       {StopReason::decided, "decided"},
                                                       {StopReason::futile, "futile"},
                                                       {StopReason::interrupted, "interrupted"}};
};

struct Stopping {
  StopRule rule = StopRule::at_n_max;
  double target = 0;  ///< `within`: share in (0,1); `at`: radius ≥ 0 (0: is A certified at all?)
};

/// Sample counts at which images may stop: 500, then 5/4 of the last (rounded up), at last n_max.
std::vector<std::uint64_t> checkpoints(std::uint64_t n_max);

/// What the votes would be after n samples in the same proportions, in whole votes; votes.n > 0,
/// both below 2^32.
VoteSplit projected(const VoteSplit& votes, std::uint64_t n);

/// Throws UsageError: share outside (0,1), negative or infinite radius, a rule without sequential
/// sampling, α ≥ 2/3, n_max too small to certify, a target above what n_max unanimous votes reach
/// (names the n it takes).
void validate(const Stopping& stopping, const BoundSettings& settings);

/// Whether an image stops with these votes at the checkpoint votes.n; nothing: it goes on. A pure
/// function of its arguments. `looks` is the number of checkpoints of the run.
std::optional<StopReason> stop_here(const VoteSplit& votes, const BoundSettings& settings,
                                    const Stopping& stopping, std::size_t looks);

/// Smallest n_max whose unanimous votes reach `radius`; nothing where no n below 2^32 does.
std::optional<std::uint64_t> samples_for_radius(double radius, BoundSettings settings);

}  // namespace smoothcert
