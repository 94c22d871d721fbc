// Hands out the samples of vote jobs in batches that span images, to any number of devices, and
// puts the counts together again.
#include "gpu/vote_scheduler.hpp"

#include <algorithm>
#include <utility>

#include "smoothcert/error.hpp"

namespace smoothcert::gpu {

VoteScheduler::VoteScheduler(std::vector<VoteJob> jobs, int classes,
                             std::function<void(const VoteResult&)> on_result)
    : jobs_(std::move(jobs)),
      classes_(static_cast<std::size_t>(classes)),
      on_result_(std::move(on_result)),
      tallies_(jobs_.size()),
      unreported_(jobs_.size()) {
  constexpr std::uint64_t kSampleLimit = std::uint64_t{1} << 32;
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const VoteJob& job = jobs_[j];
    if (job.pixels == nullptr) {
      throw UsageError("vote job " + std::to_string(j) + ": no pixels");
    }
    if (job.first > job.last || job.last > kSampleLimit) {
      throw UsageError("vote job " + std::to_string(j) + ": samples [" + std::to_string(job.first) +
                       ", " + std::to_string(job.last) + ") are no range below 2^32");
    }
    tallies_[j].counts.assign(classes_, 0);
    tallies_[j].missing = job.last - job.first;
    if (job.first < job.last) waiting_.push_back({j, job.first, job.last});
  }
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    std::unique_lock lock(mutex_);
    if (tallies_[j].missing == 0) report(lock, j);
  }
}

std::optional<VoteBatch> VoteScheduler::next(std::uint32_t max_samples,
                                             std::uint32_t max_segments) {
  const std::lock_guard lock(mutex_);
  if (stopped_ || waiting_.empty() || max_samples == 0 || max_segments == 0) return std::nullopt;
  VoteBatch batch;
  while (!waiting_.empty() && batch.samples < max_samples && batch.segments.size() < max_segments) {
    Range& range = waiting_.front();
    const auto take = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(range.last - range.first, max_samples - batch.samples));
    const VoteJob& job = jobs_[range.job];
    batch.segments.push_back({batch.samples, job.image, static_cast<std::uint32_t>(job.purpose),
                              static_cast<std::uint32_t>(range.first)});
    batch.jobs.push_back(range.job);
    batch.pixels.push_back(job.pixels);
    batch.samples += take;
    range.first += take;
    if (range.first == range.last) waiting_.pop_front();
  }
  return batch;
}

void VoteScheduler::complete(const VoteBatch& batch, std::span<const std::uint64_t> counts) {
  if (counts.size() != batch.segments.size() * (classes_ + 1)) {
    throw Error("vote counts of a batch have the wrong size");
  }
  std::unique_lock lock(mutex_);
  if (stopped_) return;
  std::vector<std::size_t> finished;
  for (std::size_t s = 0; s < batch.segments.size(); ++s) {
    const std::uint64_t end =
        s + 1 < batch.segments.size() ? batch.segments[s + 1].begin : batch.samples;
    const std::uint64_t samples = end - batch.segments[s].begin;
    Tally& tally = tallies_[batch.jobs[s]];
    std::uint64_t total = 0;
    for (std::size_t c = 0; c <= classes_; ++c) {
      const std::uint64_t n = counts[s * (classes_ + 1) + c];
      total += n;
      (c < classes_ ? tally.counts[c] : tally.invalid) += n;
    }
    if (total != samples) {
      throw Error("the device counted " + std::to_string(total) + " votes for " +
                  std::to_string(samples) + " samples");
    }
    done_ += samples;
    tally.missing -= samples;
    if (tally.missing == 0) finished.push_back(batch.jobs[s]);
  }
  for (const std::size_t job : finished) report(lock, job);
}

void VoteScheduler::report(std::unique_lock<std::mutex>& lock, std::size_t job) {
  const VoteResult result{job, std::move(tallies_[job].counts), tallies_[job].invalid};
  lock.unlock();  // the callback may take its time, and may cancel
  {
    const std::lock_guard one_at_a_time(report_mutex_);
    if (on_result_) on_result_(result);
  }
  lock.lock();
  --unreported_;
  if (unreported_ == 0) changed_.notify_all();
}

void VoteScheduler::give_back(const VoteBatch& batch) {
  const std::lock_guard lock(mutex_);
  for (std::size_t s = batch.segments.size(); s-- > 0;) {
    const std::uint64_t end =
        s + 1 < batch.segments.size() ? batch.segments[s + 1].begin : batch.samples;
    const std::uint64_t first = batch.segments[s].first_sample;
    waiting_.push_front({batch.jobs[s], first, first + (end - batch.segments[s].begin)});
  }
  changed_.notify_all();
}

bool VoteScheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || unreported_ == 0 || !waiting_.empty(); });
  return !stopped_ && !waiting_.empty();
}

void VoteScheduler::cancel() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void VoteScheduler::fail(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
  stopped_ = true;
  changed_.notify_all();
}

void VoteScheduler::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || unreported_ == 0; });
  if (error_) std::rethrow_exception(error_);
}

bool VoteScheduler::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

}  // namespace smoothcert::gpu
