// From settings and counts to a certificate: the only place where an image's counts become a
// radius.
#include "smoothcert/certificate.hpp"

#include <cmath>
#include <numeric>
#include <sstream>
#include <utility>

#include "smoothcert/error.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert {
namespace {

// Beyond these nothing can be meant: a thousandth of a grey level, and noise that hides every
// image.
constexpr double kLeastSigma = 1e-4, kMostSigma = 256;

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
  if (settings.sigma < kLeastSigma || settings.sigma > kMostSigma)
    throw UsageError("sigma is " + number(settings.sigma) + "; noise is drawn for " +
                     number(kLeastSigma) + " to " + number(kMostSigma) +
                     ", in units of [0,1] pixels");
  const double drawn = drawn_sigma(settings.noise, settings.sigma);
  if (!(drawn > 0) || !std::isfinite(drawn))
    throw UsageError("sigma is " + number(settings.sigma) +
                     "; continuous noise is drawn with 32-bit numbers, which cannot hold it");
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
  BoundSettings bounds;
  bounds.sigma = drawn;
  bounds.alpha = settings.alpha;
  bounds.p_b = settings.p_b;
  if (settings.sequential) bounds.sampling = Sampling::up_to(settings.n);
  if (!settings.stopped_at) validate(settings.stopping, bounds);
}

Certificate make_certificate(std::uint32_t image, Label label, StageCounts selection,
                             StageCounts estimation, const BoundSettings& settings) {
  Certificate certificate;
  certificate.image = image;
  certificate.label = label;
  if (selection.counts.empty() || selection.counts.size() != estimation.counts.size())
    throw Error("image " + std::to_string(image) +
                ": the two stages' counts are not over the same classes");
  certificate.selected = top_class(selection.counts);
  const VoteBounds bounds = bound_votes(vote_split(selection, estimation), settings);
  certificate.p_lower = bounds.p_lower;
  certificate.radius = bounds.radius;
  if (bounds.radius > 0) certificate.prediction = certificate.selected;
  certificate.selection = std::move(selection);
  certificate.estimation = std::move(estimation);
  return certificate;
}

void add_counts(StageCounts& sum, const StageCounts& more) {
  if (sum.counts.size() < more.counts.size()) sum.counts.resize(more.counts.size());
  for (std::size_t c = 0; c < more.counts.size(); ++c) sum.counts[c] += more.counts[c];
  sum.invalid += more.invalid;
}

VoteSplit vote_split(const StageCounts& selection, const StageCounts& estimation) {
  const auto a = static_cast<std::size_t>(top_class(selection.counts));
  // A sample without a valid answer counts as "not A": it stays in n. As a rival it is a class of
  // its own: the answer may be any.
  VoteSplit votes{estimation.counts[a], estimation.invalid,
                  votes_in(estimation.counts, estimation.invalid)};
  for (std::size_t c = 0; c < estimation.counts.size(); ++c)
    if (c != a) votes.second = std::max(votes.second, estimation.counts[c]);
  return votes;
}

std::optional<StopReason> stops_here(const StageCounts& selection, const StageCounts& estimation,
                                     const CertifySettings& settings, const ImageShape& shape) {
  BoundSettings bounds = bound_settings(settings, shape);
  if (settings.stopped_at) {
    bounds.alpha = settings.stopped_at->alpha;
    bounds.p_b = settings.stopped_at->p_b;
  }
  return stop_here(vote_split(selection, estimation), bounds, settings.stopping,
                   checkpoints(settings.n).size());
}

BoundSettings bound_settings(const CertifySettings& settings, const ImageShape& shape) {
  BoundSettings bounds;
  bounds.sigma = drawn_sigma(settings.noise, settings.sigma);
  bounds.alpha = settings.alpha;
  bounds.slack = noise_slack(settings, shape);
  bounds.p_b = settings.p_b;
  if (settings.sequential) bounds.sampling = Sampling::up_to(settings.n);
  return bounds;
}

std::uint64_t votes_in(const std::vector<std::uint64_t>& counts, std::uint64_t invalid) {
  return std::accumulate(counts.begin(), counts.end(), invalid);
}

double noise_slack(const CertifySettings& settings, const ImageShape& shape) {
  if (settings.noise != NoiseLaw::lattice) return 0;
  return vote_settings(settings, shape).noise.table->slack_per_pixel *
         static_cast<double>(shape.size());
}

double ceiling_radius(const CertifySettings& settings, const ImageShape& shape) {
  return bound_votes({settings.n, 0, settings.n}, bound_settings(settings, shape)).radius;
}

}  // namespace smoothcert
