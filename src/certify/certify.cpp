// CERTIFY over a set of images: what is still to be counted, in windows, and what the counts mean.
#include "smoothcert/certify.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <map>
#include <sstream>
#include <utility>

#include "certify/vote_window.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert {
namespace {

// A job is what is lost when a run is cancelled; 2^16 samples are some 0.2 s of one core.
constexpr std::uint64_t kJobSamples = std::uint64_t{1} << 16;
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

void add_counts(StageCounts& sum, const std::vector<std::uint64_t>& counts, std::uint64_t invalid) {
  if (sum.counts.size() < counts.size()) sum.counts.resize(counts.size());
  for (std::size_t c = 0; c < counts.size(); ++c) sum.counts[c] += counts[c];
  sum.invalid += invalid;
}

/// An image on its way: what it has, what it still needs.
struct Pending {
  std::uint32_t image = 0;
  StageCounts stages[2];  // selection, estimation
  std::uint64_t remaining[2] = {0, 0};
  std::deque<VoteJob> jobs;        // not yet in a window
  std::vector<ChunkCounts> fresh;  // counted in this window, for the store if it stays open
  double seconds = 0;
  std::uint64_t window_samples = 0;
  [[nodiscard]] bool complete() const { return remaining[0] == 0 && remaining[1] == 0; }
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
        slack_(votes_.noise.table
                   ? votes_.noise.table->slack_per_pixel * static_cast<double>(data.shape.size())
                   : 0.0) {
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
      const WindowOutcome outcome = count_window(
          model_, votes_, jobs_,
          [this](std::uint64_t samples) { report_progress(samples_before_ + samples); }, stop_);
      settle(outcome);
      report_progress(samples_before_);
      if (outcome.interrupted) throw Interrupted("interrupted");
    }
  }

 private:
  Pending open_image(std::uint32_t image) const {
    Pending pending;
    pending.image = image;
    std::vector<Range> covered[2];
    if (const auto found = done_.find(image); found != done_.end())
      for (const ChunkCounts* chunk : found->second) {
        const std::size_t stage = stage_index(chunk->stage);
        covered[stage].push_back({chunk->first, chunk->last});
        add_counts(pending.stages[stage], chunk->counts.counts, chunk->counts.invalid);
      }
    const std::uint64_t totals[2] = {settings_.n0, settings_.n};
    const Purpose purposes[2] = {Purpose::select, Purpose::estimate};
    for (std::size_t stage = 0; stage < 2; ++stage) {
      pending.stages[stage].counts.resize(static_cast<std::size_t>(model_.spec().classes));
      for (const Range& range : missing_ranges(totals[stage], std::move(covered[stage]))) {
        pending.remaining[stage] += range.last - range.first;
        for (std::uint64_t at = range.first; at < range.last; at += kJobSamples)
          pending.jobs.push_back({image, data_.image(image).data(), purposes[stage], at,
                                  std::min(range.last, at + kJobSamples)});
      }
    }
    return pending;
  }

  /// Jobs for about a second and a half, from open images first.
  void fill_window() {
    jobs_.clear();
    owners_.clear();
    std::uint64_t samples = 0;
    const auto room = [&] { return samples < size_.samples() && jobs_.size() < kWindowJobs; };
    const auto take = [&](std::size_t slot) {
      Pending& pending = open_[slot];
      pending.window_samples = 0;
      while (!pending.jobs.empty() && room()) {
        const VoteJob job = pending.jobs.front();
        pending.jobs.pop_front();
        samples += job.last - job.first;
        pending.window_samples += job.last - job.first;
        jobs_.push_back(job);
        owners_.push_back(slot);
      }
    };
    for (std::size_t slot = 0; slot < open_.size(); ++slot) take(slot);
    while (next_ < indices_.size() && room()) {
      open_.push_back(open_image(indices_[next_++]));
      take(open_.size() - 1);
    }
    window_samples_ = samples;
  }

  void settle(const WindowOutcome& outcome) {
    std::uint64_t counted = 0;
    for (const VoteResult& result : outcome.finished) {
      const VoteJob& job = jobs_[result.job];
      Pending& pending = open_[owners_[result.job]];
      const std::size_t stage = stage_index(job.purpose);
      add_counts(pending.stages[stage], result.counts, result.invalid);
      pending.remaining[stage] -= job.last - job.first;
      counted += job.last - job.first;
      pending.fresh.push_back(
          {job.image, job.purpose, job.first, job.last, {result.counts, result.invalid}});
    }
    samples_before_ += counted;
    if (!outcome.interrupted) size_.learn(counted, outcome.seconds);

    std::vector<Pending> still_open;
    for (Pending& pending : open_) {
      if (window_samples_ > 0)
        pending.seconds += outcome.seconds * static_cast<double>(pending.window_samples) /
                           static_cast<double>(window_samples_);
      if (pending.complete()) {
        finish(pending);
        continue;
      }
      if (callbacks_.on_chunk)
        for (const ChunkCounts& chunk : merged(std::move(pending.fresh)))
          callbacks_.on_chunk(chunk);
      pending.fresh.clear();
      still_open.push_back(std::move(pending));
    }
    open_ = std::move(still_open);
  }

  /// Neighbouring chunks of a stage as one, so that the store stays small.
  static std::vector<ChunkCounts> merged(std::vector<ChunkCounts> chunks) {
    std::sort(chunks.begin(), chunks.end(), [](const ChunkCounts& a, const ChunkCounts& b) {
      return std::pair(a.stage, a.first) < std::pair(b.stage, b.first);
    });
    std::vector<ChunkCounts> out;
    for (ChunkCounts& chunk : chunks) {
      if (!out.empty() && out.back().stage == chunk.stage && out.back().last == chunk.first) {
        out.back().last = chunk.last;
        add_counts(out.back().counts, chunk.counts.counts, chunk.counts.invalid);
      } else {
        out.push_back(std::move(chunk));
      }
    }
    return out;
  }

  void finish(Pending& pending) {
    Certificate certificate = make_certificate(
        pending.image, data_.labels[pending.image], std::move(pending.stages[0]),
        std::move(pending.stages[1]), settings_.sigma, settings_.alpha, slack_, settings_.p_b);
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
  double slack_;
  std::map<std::uint32_t, std::vector<const ChunkCounts*>> done_;

  std::size_t next_ = 0;  // first index not yet opened
  std::vector<Pending> open_;
  std::vector<VoteJob> jobs_;  // of the current window, with the slot in open_ each belongs to
  std::vector<std::size_t> owners_;
  std::uint64_t window_samples_ = 0, samples_before_ = 0;
  WindowSize size_;
  CertifyProgress progress_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

void validate(const CertifySettings& settings) {
  const auto number = [](double value) {
    std::ostringstream text;
    text << value;
    return text.str();
  };
  if (!(settings.sigma > 0) || !std::isfinite(settings.sigma))
    throw UsageError("sigma is " + number(settings.sigma) +
                     "; it must be a positive number, in units of [0,1] pixels");
  if (!(settings.alpha > 0 && settings.alpha < 1))
    throw UsageError("alpha is " + number(settings.alpha) + "; it must lie between 0 and 1");
  const auto check_samples = [](const char* name, std::uint64_t samples) {
    if (samples == 0) throw UsageError(std::string(name) + " is 0; at least one sample is needed");
    if (samples >= (std::uint64_t{1} << 32))
      throw UsageError(std::string(name) + " is " + std::to_string(samples) +
                       "; at most 4294967295 samples are possible");
  };
  check_samples("n0", settings.n0);
  check_samples("n", settings.n);
  const std::uint64_t needed = min_samples_to_certify(
      settings.p_b == SecondBound::counted ? settings.alpha / 2 : settings.alpha);
  if (settings.n < needed)
    throw UsageError("n = " + std::to_string(settings.n) + " can certify nothing at alpha = " +
                     number(settings.alpha) + ": it takes at least n = " + std::to_string(needed));
}

Certificate make_certificate(std::uint32_t image, std::uint8_t label, StageCounts selection,
                             StageCounts estimation, double sigma, double alpha, double slack,
                             SecondBound p_b) {
  Certificate certificate;
  certificate.image = image;
  certificate.label = label;
  if (selection.counts.empty() || selection.counts.size() != estimation.counts.size())
    throw Error("image " + std::to_string(image) +
                ": the two stages' counts are not over the same classes");
  certificate.selected = top_class(selection.counts);
  const auto a = static_cast<std::size_t>(certificate.selected);
  // A sample without a valid answer counts as "not A": it stays in n.
  const std::uint64_t n = votes_in(estimation.counts, estimation.invalid);
  const std::uint64_t k = estimation.counts[a];
  if (p_b == SecondBound::complement) {
    const LowerBound bound = clopper_pearson_lower(k, n, alpha, slack);
    certificate.p_lower = bound.p_lower;
    certificate.radius = certified_radius(bound.q, sigma);
    if (bound.q < 0.5) certificate.prediction = certificate.selected;
  } else {
    const LowerBound bound = clopper_pearson_lower(k, n, alpha / 2, slack);
    std::uint64_t second = estimation.invalid;  // a class of its own: the answer may be any
    for (std::size_t c = 0; c < estimation.counts.size(); ++c)
      if (c != a) second = std::max(second, estimation.counts[c]);
    // Where both bounds hold, so does p_B ≤ 1 − p_A ≤ 1 − p̲_A.
    const double upper = std::min(bound.q, clopper_pearson_upper(second, n, alpha / 2, slack));
    certificate.p_lower = bound.p_lower;
    certificate.radius = certified_radius(bound.q, upper, sigma);
    if (certificate.radius > 0) certificate.prediction = certificate.selected;
  }
  certificate.selection = std::move(selection);
  certificate.estimation = std::move(estimation);
  return certificate;
}

double noise_slack(const CertifySettings& settings, const ImageShape& shape) {
  if (settings.noise != NoiseLaw::lattice) return 0;
  return make_lattice_table(settings.sigma, shape.size())->slack_per_pixel *
         static_cast<double>(shape.size());
}

double ceiling_radius(const CertifySettings& settings, const ImageShape& shape) {
  return make_certificate(0, 0, {{1, 0}, 0}, {{settings.n, 0}, 0}, settings.sigma, settings.alpha,
                          noise_slack(settings, shape), settings.p_b)
      .radius;
}

void certify(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> indices,
             const CertifySettings& settings, std::span<const ChunkCounts> done,
             const CertifyCallbacks& callbacks, std::stop_token stop) {
  validate(settings);
  check_inputs(model, data, indices);
  Certification(model, data, indices, settings, done, callbacks, std::move(stop)).run();
}

}  // namespace smoothcert
