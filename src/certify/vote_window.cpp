// One window of votes: starts a count, watches it, collects what finished.
#include "certify/vote_window.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "smoothcert/error.hpp"
#include "smoothcert/external_identity.hpp"

namespace smoothcert {

using Clock = std::chrono::steady_clock;

namespace {
constexpr auto kTick = std::chrono::milliseconds(150);

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A vote lost or counted twice must not become a certificate.
class ResultCheck {
 public:
  ResultCheck(const std::vector<VoteJob>& jobs, std::size_t classes)
      : jobs_(jobs), classes_(classes), seen_(jobs.size(), false) {}

  void operator()(const std::vector<VoteResult>& results) {
    for (const VoteResult& result : results) {
      if (result.job >= jobs_.size() || seen_[result.job])
        throw Error("the backend reported a job twice or one it was not given; please report this");
      seen_[result.job] = true;
      const VoteJob& job = jobs_[result.job];
      if (result.counts.size() != classes_ ||
          votes_in(result.counts, result.invalid) != job.last - job.first)
        throw Error("the backend's votes for image " + std::to_string(job.image) +
                    " do not add up to the number of samples; please report this");
    }
    checked_ += results.size();
  }
  [[nodiscard]] bool all() const { return checked_ == jobs_.size(); }

 private:
  const std::vector<VoteJob>& jobs_;
  std::size_t classes_, checked_ = 0;
  std::vector<bool> seen_;
};
}  // namespace

WindowOutcome count_window(BackendModel& model, const VoteSettings& settings,
                           const std::vector<VoteJob>& jobs, const WindowWatch& watch,
                           std::stop_token stop) {
  WindowOutcome outcome;
  if (jobs.empty()) return outcome;
  const auto start = Clock::now();
  ResultCheck check(jobs, static_cast<std::size_t>(model.spec().classes));
  std::mutex results_mutex;
  std::vector<VoteResult> results;  // that nobody has looked at
  const auto run = model.count_votes(settings, jobs, [&](const VoteResult& result) {
    const std::lock_guard lock(results_mutex);
    results.push_back(result);
  });
  const auto new_results = [&] {
    const std::lock_guard lock(results_mutex);
    return std::exchange(results, {});
  };

  // wait() blocks, so the ticking is done by a helper thread while this one waits.
  std::mutex mutex;
  std::condition_variable_any wake;
  std::exception_ptr watch_error;
  auto taken = start;
  std::jthread ticker([&](const std::stop_token& ended) {
    std::unique_lock lock(mutex);
    const std::stop_callback on_stop(stop, [&] {
      run->cancel();
      wake.notify_all();
    });
    while (!wake.wait_for(lock, ended, kTick, [&] { return stop.stop_requested(); })) {
      if (ended.stop_requested()) return;
      try {
        if (watch.progress) watch.progress(run->samples_done());
        if (!watch.take) continue;
        const auto finished = new_results();
        check(finished);
        if (finished.empty()) continue;
        const double seconds = seconds_since(taken);
        taken = Clock::now();
        watch.take(finished, seconds);
      } catch (...) {
        watch_error = std::current_exception();
        run->cancel();
        return;
      }
    }
  });
  std::exception_ptr failure;
  try {
    run->wait();
  } catch (...) {
    failure = std::current_exception();
  }
  ticker.request_stop();
  ticker.join();
  if (failure) std::rethrow_exception(failure);
  if (watch_error) std::rethrow_exception(watch_error);
  outcome.finished = new_results();
  check(outcome.finished);
  outcome.seconds = seconds_since(taken);
  outcome.interrupted = !check.all();
  if (outcome.interrupted && !stop.stop_requested())
    throw Error("the backend ended a count early without an error; please report this");
  return outcome;
}

void check_inputs(const BackendModel& model, const Dataset& data,
                  std::span<const std::uint32_t> indices) {
  const auto text = [](const ImageShape& s) {
    return std::to_string(s.channels) + "×" + std::to_string(s.height) + "×" +
           std::to_string(s.width);
  };
  if (data.shape != model.spec().input)
    throw UsageError("data set '" + data.name + "' has images of " + text(data.shape) +
                     ", network '" + model.spec().name + "' takes " + text(model.spec().input));
  if (data.classes > model.spec().classes)
    throw UsageError("data set '" + data.name + "' has " + std::to_string(data.classes) +
                     " classes, network '" + model.spec().name + "' answers only " +
                     std::to_string(model.spec().classes));
  std::vector<bool> seen(data.size(), false);
  for (const std::uint32_t index : indices) {
    if (index >= data.size())
      throw UsageError("image " + std::to_string(index) + " is outside data set '" + data.name +
                       "' of " + std::to_string(data.size()) + " images");
    if (seen[index]) throw UsageError("image " + std::to_string(index) + " is asked for twice");
    seen[index] = true;
  }
}

WindowSize::WindowSize(const BackendModel& model) {
  if (const auto* external = dynamic_cast<const ExternalForward*>(&model)) tile_ = external->tile();
}

std::uint64_t WindowSize::job() const {
  // A power of two, so that tiles of 32 samples and more stay full.
  constexpr std::uint64_t kLeast = 32, kMost = std::uint64_t{1} << 16;
  constexpr std::uint64_t kJobsOfAWindow = 64;
  return std::bit_floor(std::clamp(samples_ / kJobsOfAWindow, kLeast, kMost));
}

void WindowSize::learn(std::uint64_t samples, double seconds) {
  constexpr double kWanted = 1.5, kLeast = 128, kMost = 4e9;
  if (samples == 0 || seconds <= 0) return;
  const double ideal = static_cast<double>(samples) * kWanted / seconds;
  // Grow by at most 8× at a time: the first windows are too short to measure well.
  const double bounded = std::min(ideal, 8.0 * static_cast<double>(samples_));
  samples_ = static_cast<std::uint64_t>(std::clamp(bounded, kLeast, kMost));
}

}  // namespace smoothcert
