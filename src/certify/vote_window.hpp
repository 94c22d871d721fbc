// One window of votes: starts a count, watches it, collects what finished.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/certify.hpp"

namespace smoothcert {

struct WindowOutcome {
  std::vector<VoteResult> finished;  ///< in order of completion
  bool interrupted = false;          ///< `stop` was requested; unfinished jobs were dropped whole
  double seconds = 0;
};

/// Counts `jobs` and returns when all are done or `stop` was requested. `watch(samples)` is called
/// a few times a second with the samples done so far, never concurrently with anything else of the
/// caller's. Rethrows the backend's failure; throws Error where its votes do not add up.
WindowOutcome count_window(BackendModel& model, const VoteSettings& settings,
                           const std::vector<VoteJob>& jobs,
                           const std::function<void(std::uint64_t)>& watch, std::stop_token stop);

/// All samples that were drawn: no vote is dropped.
std::uint64_t votes_in(const std::vector<std::uint64_t>& counts, std::uint64_t invalid);

/// The votes that `settings` ask for, with the lattice table made.
VoteSettings vote_settings(const CertifySettings& settings, const Dataset& data);

/// Throws UsageError where an index is outside `data` or comes twice, or the data does not fit the
/// model.
void check_inputs(const BackendModel& model, const Dataset& data,
                  std::span<const std::uint32_t> indices);

/// Samples of one job, which is what is lost when a run is cancelled: 2^16, some 0.2 s of one core,
/// or what takes a second of a caller's forward pass.
std::uint64_t job_samples(const BackendModel& model);

/// How many samples the next window should hold so that it takes about a second and a half: long
/// enough that the end of one (when cores run out of work) costs nothing, short enough that little
/// is lost when the machine goes down.
class WindowSize {
 public:
  explicit WindowSize(std::uint64_t least = std::uint64_t{1} << 16)
      : least_(least), samples_(least) {}
  [[nodiscard]] std::uint64_t samples() const { return samples_; }
  void learn(std::uint64_t samples, double seconds);

 private:
  std::uint64_t least_, samples_;
};

}  // namespace smoothcert
