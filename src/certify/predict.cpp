// PREDICT of Cohen et al. 2019: the smoothed classifier's answer, or an abstention.
#include "smoothcert/predict.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "certify/vote_window.hpp"
#include "smoothcert/certify.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert {
namespace {

Prediction make_prediction(std::uint32_t image, Label label, const VoteResult& votes,
                           const CertifySettings& settings, double slack) {
  Prediction prediction{.image = image, .label = label, .counts = {votes.counts, votes.invalid}};
  const int top = top_class(votes.counts);
  // A sample without a valid answer is an answer of its own that never wins: it may be the rival.
  std::uint64_t runner_up = votes.invalid;
  for (std::size_t c = 0; c < votes.counts.size(); ++c)
    if (static_cast<int>(c) != top) runner_up = std::max(runner_up, votes.counts[c]);
  const std::uint64_t first = votes.counts[static_cast<std::size_t>(top)];
  if (first + runner_up > 0) prediction.p_value = binomial_test_two_sided(first, first + runner_up);
  // n draws of the noise as executed differ from n ideal ones by at most n·δ in total variation.
  const double p_value = prediction.p_value + static_cast<double>(settings.n) * slack;
  if (first > runner_up && p_value <= settings.alpha) prediction.prediction = top;
  return prediction;
}

/// The smallest n for which n votes of n are an answer at α: 2·2^−n ≤ α.
std::uint64_t least_samples(double alpha) {
  int n = 1;
  while (std::ldexp(1.0, 1 - n) > alpha) ++n;
  return static_cast<std::uint64_t>(n);
}

}  // namespace

void predict(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> indices,
             const CertifySettings& settings,
             const std::function<void(const Prediction&)>& on_prediction,
             const std::function<void(const CertifyProgress&)>& on_progress, std::stop_token stop) {
  validate(settings);
  if (noise_traits(settings.noise).kind == CertificateKind::exact)
    throw UsageError("PREDICT draws samples; splitting noise has none, its certificates are exact");
  if (const auto least = least_samples(settings.alpha); settings.n < least)
    throw UsageError("n = " + std::to_string(settings.n) +
                     " votes make every image an abstention at this alpha: the two-sided test "
                     "takes at least n = " +
                     std::to_string(least));
  check_inputs(model, data, indices);
  const VoteSettings votes = vote_settings(settings, data.shape);
  const double slack = noise_slack(settings, data.shape);
  const auto start = std::chrono::steady_clock::now();
  CertifyProgress progress{.images_total = indices.size(),
                           .samples_total = indices.size() * settings.n};
  const auto report = [&](std::uint64_t samples) {
    if (!on_progress) return;
    progress.samples_done = samples;
    progress.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    on_progress(progress);
  };

  WindowSize size(model);
  while (!indices.empty()) {
    if (stop.stop_requested()) throw Interrupted("interrupted");
    const std::size_t count =
        std::clamp<std::size_t>(size.samples() / settings.n, 1, indices.size());
    std::vector<VoteJob> jobs;
    for (const std::uint32_t image : indices.first(count))
      jobs.push_back({image, data.image(image).data(), Purpose::predict, 0, settings.n});
    const std::uint64_t before = progress.images_done * settings.n;
    WindowOutcome outcome = count_window(
        model, votes, jobs, {[&](std::uint64_t samples) { report(before + samples); }, {}}, stop);
    std::sort(outcome.finished.begin(), outcome.finished.end(),
              [](const VoteResult& a, const VoteResult& b) { return a.job < b.job; });
    for (const VoteResult& result : outcome.finished) {
      const std::uint32_t image = indices[result.job];
      Prediction prediction = make_prediction(image, data.labels[image], result, settings, slack);
      prediction.seconds = outcome.seconds / static_cast<double>(count);
      ++progress.images_done;
      on_prediction(prediction);
    }
    report(progress.images_done * settings.n);
    if (outcome.interrupted) throw Interrupted("interrupted");
    size.learn(count * settings.n, outcome.seconds);
    indices = indices.subspan(count);
  }
}

}  // namespace smoothcert
