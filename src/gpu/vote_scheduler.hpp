// Hands out the samples of vote jobs in batches that span images, to any number of devices, and
// puts the counts together again. Knows no CUDA; every method may be called from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "gpu/vote_segment.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert::gpu {

struct VoteBatch {
  std::vector<VoteSegment> segments;        ///< ascending `begin`, the first one 0
  std::vector<std::size_t> jobs;            ///< job of each segment
  std::vector<const std::uint8_t*> pixels;  ///< image of each segment
  std::uint32_t samples = 0;
};

class VoteScheduler {
 public:
  /// Throws UsageError for a job without pixels or with samples beyond 2^32.
  VoteScheduler(std::vector<VoteJob> jobs, int classes,
                std::function<void(const VoteResult&)> on_result);

  /// The next samples, or nothing when none is waiting (others may be out with a device).
  std::optional<VoteBatch> next(std::uint32_t max_samples, std::uint32_t max_segments);

  /// counts: (classes + 1) per segment, the last one of each the invalid samples.
  void complete(const VoteBatch& batch, std::span<const std::uint64_t> counts);

  /// Puts a batch back whose device could not finish it.
  void give_back(const VoteBatch& batch);

  /// Blocks until samples are waiting (true), or all jobs are reported or the run has been stopped
  /// (false). A device calls it with nothing of its own in flight.
  bool wait_for_work();

  void cancel();
  void fail(std::exception_ptr error);  ///< stops the run; wait() rethrows the first one
  void wait();                          ///< until every job is reported or the run has stopped

  [[nodiscard]] bool stopped() const;
  [[nodiscard]] std::uint64_t samples_done() const { return done_.load(); }

 private:
  struct Range {
    std::size_t job;
    std::uint64_t first, last;
  };
  struct Tally {
    std::vector<std::uint64_t> counts;
    std::uint64_t invalid = 0, missing = 0;
  };

  void report(std::unique_lock<std::mutex>& lock, std::size_t job);

  const std::vector<VoteJob> jobs_;
  const std::size_t classes_;
  const std::function<void(const VoteResult&)> on_result_;
  mutable std::mutex mutex_;
  std::mutex report_mutex_;  ///< on_result is never called concurrently
  std::condition_variable changed_;
  std::deque<Range> waiting_;
  std::vector<Tally> tallies_;
  std::size_t unreported_ = 0;
  bool stopped_ = false;
  std::exception_ptr error_;
  std::atomic<std::uint64_t> done_{0};
};

}  // namespace smoothcert::gpu
