// One window of votes: starts a count, watches it, collects what finished.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/certificate.hpp"

namespace smoothcert {

struct WindowOutcome {
  std::vector<VoteResult> finished;  ///< in order of completion; without those that `take` got
  bool interrupted = false;          ///< `stop` was requested; unfinished jobs were dropped whole
  double seconds = 0;
};

/// What happens while a window is counted, several times a second and never concurrently with
/// anything else of the caller's.
struct WindowWatch {
  std::function<void(std::uint64_t)> progress;  ///< optional: the samples done so far
  /// Optional: what finished since the last call, checked, and the seconds since then. What is kept
  /// at once outlives whatever ends the program, however long the window is.
  std::function<void(const std::vector<VoteResult>&, double)> take;
};

/// Counts `jobs` and returns when all are done or `stop` was requested. Rethrows the backend's
/// failure; throws Error where its votes do not add up.
WindowOutcome count_window(BackendModel& model, const VoteSettings& settings,
                           const std::vector<VoteJob>& jobs, const WindowWatch& watch,
                           std::stop_token stop);

/// Throws UsageError where an index is outside `data` or comes twice, or the data does not fit the
/// model.
void check_inputs(const BackendModel& model, const Dataset& data,
                  std::span<const std::uint32_t> indices);

/// How many samples the next window should hold so that it takes about a second and a half: long
/// enough that the end of one (when cores run out of work) costs nothing. The first ones are short,
/// since nothing is known of the model: a large one on a CPU counts a hundred samples a second.
class WindowSize {
 public:
  /// Windows for a caller's forward pass hold whole tiles: the rest of one is a forward pass for
  /// nothing.
  explicit WindowSize(const BackendModel& model);
  [[nodiscard]] std::uint64_t samples() const { return (samples_ + tile_ - 1) / tile_ * tile_; }
  [[nodiscard]] bool whole_tiles() const { return tile_ > 1; }
  /// Samples of one job, which is what is lost when the program is ended: a small part of a window.
  [[nodiscard]] std::uint64_t job() const;
  void learn(std::uint64_t samples, double seconds);

 private:
  std::uint64_t samples_ = 1024, tile_ = 1;
};

}  // namespace smoothcert
