// CERTIFY over a set of images: what is still to be counted, in windows, and what the counts mean.
#include "smoothcert/certify.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "certify/vote_window.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert {
namespace {

// Bounds the memory of a window whatever n0 and n are.
constexpr std::size_t kWindowJobs = 1 << 16;

struct Range {
  std::uint64_t first = 0, last = 0;
};

/// [0, total) without the ranges already counted.
std::vector<Range> missing_ranges(std::uint64_t total, std::vector<Range> done) {
  std::sort(done.begin(), done.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  std::vector<Range> missing;
  std::uint64_t position = 0;
  for (const Range& range : done) {
    if (range.first < position || range.last > total || range.first >= range.last)
      throw Error(
          "stored partial counts overlap or leave the run's sample range; they cannot be "
          "continued");
    if (range.first > position) missing.push_back({position, range.first});
    position = range.last;
  }
  if (position < total) missing.push_back({position, total});
  return missing;
}

/// An image on its way: what it has, what it still needs.
struct Pending {
  std::uint32_t image = 0;
  StageCounts stages[2];  // selection, estimation
  std::uint64_t remaining[2] = {0, 0};
  std::deque<Range> ranges[2];     // not yet in a window
  std::vector<ChunkCounts> fresh;  // counted lately, for the store if it stays open
  double seconds = 0;
  std::uint64_t counted = 0;  // lately
  bool finished = false;      // its certificate is out
  // Of a sequential run: counts that wait for their turn by first sample, how far they were looked
  // at, up to where samples are wanted, and why no more are.
  std::map<std::uint64_t, ChunkCounts> ahead;
  std::uint64_t looked_at = 0, horizon = 0;
  std::optional<StopReason> stopped;
  [[nodiscard]] bool complete() const {
    return remaining[0] == 0 && (remaining[1] == 0 || stopped.has_value());
  }
};

std::size_t stage_index(Purpose purpose) { return purpose == Purpose::select ? 0 : 1; }

/// A stored chunk must be of a stage of CERTIFY and hold one vote for each of its samples: a wrong
/// count would become a wrong certificate.
void check_chunk(const ChunkCounts& chunk, std::size_t classes) {
  const bool of_certify = chunk.stage == Purpose::select || chunk.stage == Purpose::estimate;
  if (!of_certify || chunk.first >= chunk.last || chunk.counts.counts.size() != classes ||
      votes_in(chunk.counts.counts, chunk.counts.invalid) != chunk.last - chunk.first)
    throw Error("stored partial counts of image " + std::to_string(chunk.image) +
                " are damaged (samples " + std::to_string(chunk.first) + " to " +
                std::to_string(chunk.last) + "); they cannot be continued");
}

class Certification {
 public:
  Certification(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> indices,
                const CertifySettings& settings, std::span<const ChunkCounts> done,
                const CertifyCallbacks& callbacks, std::stop_token stop)
      : model_(model),
        data_(data),
        indices_(indices),
        settings_(settings),
        callbacks_(callbacks),
        stop_(std::move(stop)),
        votes_(vote_settings(settings, data.shape)),
        bounds_(bound_settings(settings, data.shape)),
        size_(model),
        checkpoints_(settings.sequential ? checkpoints(settings.n)
                                         : std::vector<std::uint64_t>{settings.n}) {
    for (const ChunkCounts& chunk : done) {
      check_chunk(chunk, static_cast<std::size_t>(model.spec().classes));
      done_[chunk.image].push_back(&chunk);
    }
    progress_.images_total = indices.size();
    progress_.samples_total = indices.size() * (settings.n0 + settings.n);
    for (const std::uint32_t image : indices)
      if (const auto found = done_.find(image); found != done_.end())
        for (const ChunkCounts* chunk : found->second)
          progress_.samples_total -= std::min(progress_.samples_total, chunk->last - chunk->first);
  }

  void run() {
    while (next_ < indices_.size() || !open_.empty()) {
      if (stop_.stop_requested()) throw Interrupted("interrupted");
      fill_window();
      for (Pending& pending : open_)  // those whose stored counts were enough
        if (pending.complete()) finish(pending);
      const std::uint64_t before = samples_before_;
      WindowWatch watch;
      watch.progress = [&](std::uint64_t samples) { report_progress(before + samples); };
      double seconds = 0;
      watch.take = [&](const std::vector<VoteResult>& finished, double took) {
        seconds += took;
        settle(finished, took);
      };
      const WindowOutcome outcome = count_window(model_, votes_, jobs_, watch, stop_);
      settle(outcome.finished, outcome.seconds);
      if (!outcome.interrupted) size_.learn(samples_before_ - before, seconds + outcome.seconds);
      close_finished();
      report_progress(samples_before_);
      if (outcome.interrupted) throw Interrupted("interrupted");
    }
  }

 private:
  Pending open_image(std::uint32_t image) const {
    Pending pending;
    pending.image = image;
    pending.horizon = checkpoints_.front();
    std::vector<Range> covered[2];
    if (const auto found = done_.find(image); found != done_.end())
      for (const ChunkCounts* chunk : found->second) {
        const std::size_t stage = stage_index(chunk->stage);
        covered[stage].push_back({chunk->first, chunk->last});
        if (stage == 1 && settings_.sequential)
          keep_ahead(pending, *chunk);
        else
          add_counts(pending.stages[stage], chunk->counts);
      }
    const std::uint64_t totals[2] = {settings_.n0, settings_.n};
    for (std::size_t stage = 0; stage < 2; ++stage) {
      pending.stages[stage].counts.resize(static_cast<std::size_t>(model_.spec().classes));
      for (const Range& range : missing_ranges(totals[stage], std::move(covered[stage]))) {
        pending.remaining[stage] += range.last - range.first;
        pending.ranges[stage].push_back(range);
      }
    }
    if (settings_.sequential) look(pending);
    return pending;
  }

  /// The first checkpoint after `position` samples.
  std::uint64_t next_checkpoint(std::uint64_t position) const {
    return *std::ranges::upper_bound(checkpoints_, position);
  }

  /// Counts of a sequential image must end at or before the next checkpoint: what an image stops
  /// with is the sum up to one of them.
  void keep_ahead(Pending& pending, const ChunkCounts& chunk) const {
    if (chunk.last > next_checkpoint(chunk.first))
      throw Error("stored partial counts of image " + std::to_string(chunk.image) +
                  " run across a checkpoint; they cannot be continued");
    pending.ahead.emplace(chunk.first, chunk);
  }

  /// Adds what has come up to the next gap, checkpoint by checkpoint, until one of them stops the
  /// image. What lies beyond is dropped: how much was drawn ahead must not change a certificate.
  void look(Pending& pending) const {
    if (pending.remaining[0] > 0 || pending.stopped) return;
    for (auto next = pending.ahead.find(pending.looked_at); next != pending.ahead.end();
         next = pending.ahead.find(pending.looked_at)) {
      const ChunkCounts& chunk = next->second;
      add_counts(pending.stages[1], chunk.counts);
      pending.looked_at = chunk.last;
      pending.ahead.erase(next);
      if (!std::ranges::binary_search(checkpoints_, pending.looked_at)) continue;
      pending.stopped = stop_here(vote_split(pending.stages[0], pending.stages[1]), bounds_,
                                  settings_.stopping, checkpoints_.size());
      if (pending.stopped) return;
      pending.horizon = std::max(pending.horizon, next_checkpoint(pending.looked_at));
    }
  }

  /// Jobs for about a second and a half, from open images first. Images of a sequential run get the
  /// samples up to their next checkpoint; where that leaves the window nearly empty, those up to
  /// later ones too, which may turn out not to be needed.
  void fill_window() {
    jobs_.clear();
    owners_.clear();
    std::uint64_t samples = 0;
    const auto room = [&] { return samples < size_.samples() && jobs_.size() < kWindowJobs; };
    const auto take = [&](std::size_t slot) {
      Pending& pending = open_[slot];
      constexpr Purpose kPurposes[2] = {Purpose::select, Purpose::estimate};
      for (const std::size_t stage : {0u, 1u}) {
        auto& ranges = pending.ranges[stage];
        while (!ranges.empty() && room()) {
          Range& range = ranges.front();
          std::uint64_t last = std::min(range.last, range.first + size_.job());
          if (stage == 1) {
            if (range.first >= pending.horizon) break;
            last = std::min(last, next_checkpoint(range.first));
          }
          if (size_.whole_tiles()) last = std::min(last, range.first + size_.samples() - samples);
          jobs_.push_back({pending.image, data_.image(pending.image).data(), kPurposes[stage],
                           range.first, last});
          owners_.push_back(slot);
          samples += last - range.first;
          range.first = last;
          if (range.first == range.last) ranges.pop_front();
        }
      }
    };
    for (std::size_t slot = 0; slot < open_.size(); ++slot) take(slot);
    while (next_ < indices_.size() && room()) {
      open_.push_back(open_image(indices_[next_++]));
      if (!open_.back().complete()) take(open_.size() - 1);
    }
    const auto nearly_empty = [&] { return samples < size_.samples() / 4 && room(); };
    for (bool more = settings_.sequential; more && nearly_empty();) {
      more = false;
      for (std::size_t slot = 0; slot < open_.size() && nearly_empty(); ++slot) {
        Pending& pending = open_[slot];
        if (pending.ranges[1].empty() || pending.complete()) continue;
        pending.horizon = next_checkpoint(pending.ranges[1].front().first);
        take(slot);
        more = true;
      }
    }
  }

  /// Takes in what was counted in `seconds`: certificates of images that are complete, chunks of
  /// the others, told at once.
  void settle(const std::vector<VoteResult>& results, double seconds) {
    std::uint64_t counted = 0;
    std::set<std::size_t> touched;
    for (const VoteResult& result : results) {
      const VoteJob& job = jobs_[result.job];
      Pending& pending = open_[owners_[result.job]];
      counted += job.last - job.first;
      if (pending.finished) continue;  // drawn ahead of a stop
      const std::size_t stage = stage_index(job.purpose);
      pending.remaining[stage] -= job.last - job.first;
      pending.counted += job.last - job.first;
      pending.fresh.push_back({job.image,
                               job.purpose,
                               job.first,
                               job.last,
                               {result.counts, result.invalid},
                               data_.labels[job.image]});
      if (stage == 1 && settings_.sequential)
        keep_ahead(pending, pending.fresh.back());
      else
        add_counts(pending.stages[stage], {result.counts, result.invalid});
      touched.insert(owners_[result.job]);
    }
    samples_before_ += counted;
    for (const std::size_t slot : touched) {
      Pending& pending = open_[slot];
      pending.seconds += seconds * static_cast<double>(std::exchange(pending.counted, 0)) /
                         static_cast<double>(counted);
      auto fresh = std::exchange(pending.fresh, {});
      if (settings_.sequential) look(pending);
      if (pending.complete()) {
        finish(pending);
      } else if (callbacks_.on_chunk) {
        for (const ChunkCounts& chunk : merged(std::move(fresh))) callbacks_.on_chunk(chunk);
      }
    }
  }

  void close_finished() {
    std::erase_if(open_, [](const Pending& pending) { return pending.finished; });
  }

  /// Neighbouring chunks of a stage as one, so that the store stays small; not across a checkpoint,
  /// at which a run that goes on looks again.
  std::vector<ChunkCounts> merged(std::vector<ChunkCounts> chunks) const {
    std::sort(chunks.begin(), chunks.end(), [](const ChunkCounts& a, const ChunkCounts& b) {
      return std::pair(a.stage, a.first) < std::pair(b.stage, b.first);
    });
    std::vector<ChunkCounts> out;
    for (ChunkCounts& chunk : chunks) {
      const bool looked_between = settings_.sequential && chunk.stage == Purpose::estimate &&
                                  std::ranges::binary_search(checkpoints_, chunk.first);
      if (!out.empty() && out.back().stage == chunk.stage && out.back().last == chunk.first &&
          !looked_between) {
        out.back().last = chunk.last;
        add_counts(out.back().counts, chunk.counts);
      } else {
        out.push_back(std::move(chunk));
      }
    }
    return out;
  }

  void finish(Pending& pending) {
    pending.finished = true;
    Certificate certificate =
        make_certificate(pending.image, data_.labels[pending.image], std::move(pending.stages[0]),
                         std::move(pending.stages[1]), bounds_);
    certificate.stop = pending.stopped.value_or(StopReason::n_max);
    progress_.samples_total -= std::min(progress_.samples_total, pending.remaining[1]);
    progress_.samples_saved += pending.remaining[1];
    certificate.seconds = pending.seconds;
    ++progress_.images_done;
    if (callbacks_.on_certificate) callbacks_.on_certificate(certificate);
  }

  void report_progress(std::uint64_t samples) {
    if (!callbacks_.on_progress) return;
    progress_.samples_done = samples;
    progress_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    callbacks_.on_progress(progress_);
  }

  BackendModel& model_;
  const Dataset& data_;
  std::span<const std::uint32_t> indices_;
  const CertifySettings& settings_;
  const CertifyCallbacks& callbacks_;
  std::stop_token stop_;
  VoteSettings votes_;
  BoundSettings bounds_;
  WindowSize size_;
  std::vector<std::uint64_t> checkpoints_;  // n alone where n is fixed
  std::map<std::uint32_t, std::vector<const ChunkCounts*>> done_;

  std::size_t next_ = 0;  // first index not yet opened
  std::vector<Pending> open_;
  std::vector<VoteJob> jobs_;  // of the current window, with the slot in open_ each belongs to
  std::vector<std::size_t> owners_;
  std::uint64_t samples_before_ = 0;  // counted by this call
  CertifyProgress progress_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

void certify(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> indices,
             const CertifySettings& settings, std::span<const ChunkCounts> done,
             const CertifyCallbacks& callbacks, std::stop_token stop) {
  validate(settings);
  check_inputs(model, data, indices);
  Certification(model, data, indices, settings, done, callbacks, std::move(stop)).run();
}

}  // namespace smoothcert
