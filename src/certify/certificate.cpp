// From settings and counts to a certificate: the only place where an image's counts become a
// radius.
#include "smoothcert/certificate.hpp"

#include <cmath>
#include <numeric>
#include <sstream>
#include <utility>

#include "smoothcert/error.hpp"
#include "smoothcert/l1_certificates.hpp"
#include "smoothcert/statistics.hpp"
#include "util/format_number.hpp"

namespace smoothcert {
namespace {

// Beyond these nothing can be meant: a thousandth of a grey level, and noise that hides every
// image.
constexpr double kLeastSigma = 1e-4, kMostSigma = 256;

int chosen_class(const StageCounts& selection, const StageCounts& estimation) {
  return top_class(votes_in(selection.counts, selection.invalid) > 0 ? selection.counts
                                                                     : estimation.counts);
}

bool same(const CertifySettings& s, const CertifySettings& t) {
  return s.sigma == t.sigma && s.n0 == t.n0 && s.n == t.n && s.alpha == t.alpha &&
         s.clamp == t.clamp && s.p_b == t.p_b && s.sequential == t.sequential &&
         s.stopping.rule == t.stopping.rule && s.stopping.target == t.stopping.target &&
         s.stopped_at == t.stopped_at;
}

bool is_exact(NoiseLaw law) { return noise_traits(law).kind == CertificateKind::exact; }

}  // namespace

CertifySettings settled(CertifySettings settings) {
  const NoiseTraits& traits = noise_traits(settings.noise);
  if (!traits.has_width()) return settings;
  const std::uint32_t width = noise_width(settings.noise, settings.sigma);
  settings.sigma = lambda_of_width(width);
  if (traits.kind != CertificateKind::exact) return settings;
  CertifySettings exact;
  exact.sigma = settings.sigma;
  exact.n0 = 0;
  exact.n = width;
  exact.alpha = 0;
  exact.seed = settings.seed;
  exact.noise = settings.noise;
  exact.mode = settings.mode;
  return exact;
}

std::string noise_level(const CertifySettings& settings) {
  if (!noise_traits(settings.noise).has_width()) return format_shortest(settings.sigma);
  std::ostringstream text;
  text.precision(5);
  text << settings.sigma;
  return text.str();
}

std::string noise_level_text(const CertifySettings& settings) {
  const NoiseTraits& traits = noise_traits(settings.noise);
  std::string text = std::string(traits.symbol) + " = " + noise_level(settings);
  if (traits.has_width())
    text += " (W = " + std::to_string(noise_width(settings.noise, settings.sigma)) + ")";
  return text;
}

void validate(const CertifySettings& settings) {
  const auto number = [](double value) {
    std::ostringstream text;
    text << value;
    return text.str();
  };
  if (noise_traits(settings.noise).has_width()) {
    const CertifySettings right = settled(settings);
    if (!same(settings, right)) {
      std::string text = to_name(settings.noise) + " noise of lambda " + number(settings.sigma) +
                         " is drawn with lambda = W/510 = " + number(right.sigma);
      if (is_exact(settings.noise))
        text += ", evaluates its W = " + std::to_string(right.n) +
                " splits once each and certifies with certainty: n0 = 0, n = " +
                std::to_string(right.n) + ", alpha = 0, nothing to clamp, to stop or to bound";
      throw UsageError(text + " (settled() sets this)");
    }
    if (is_exact(settings.noise)) return;
  }
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
  bounds.law = settings.noise;
  bounds.width = noise_width(settings.noise, settings.sigma);
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
  certificate.selected = chosen_class(selection, estimation);
  if (is_exact(settings.law)) {
    const SplitCertificate exact =
        split_certificate(estimation.counts, estimation.invalid, settings.width);
    certificate.prediction = exact.prediction;
    certificate.radius = exact.radius;
    certificate.p_lower =
        static_cast<double>(estimation.counts[static_cast<std::size_t>(certificate.selected)]) /
        settings.width;
  } else {
    const VoteBounds bounds = bound_votes(vote_split(selection, estimation), settings);
    certificate.p_lower = bounds.p_lower;
    certificate.radius = bounds.radius;
    if (bounds.radius > 0) certificate.prediction = certificate.selected;
  }
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
  const auto a = static_cast<std::size_t>(chosen_class(selection, estimation));
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
  bounds.law = settings.noise;
  bounds.width = noise_width(settings.noise, settings.sigma);
  if (settings.sequential) bounds.sampling = Sampling::up_to(settings.n);
  return bounds;
}

std::uint64_t votes_in(const std::vector<std::uint64_t>& counts, std::uint64_t invalid) {
  return std::accumulate(counts.begin(), counts.end(), invalid);
}

double noise_slack(const CertifySettings& settings, const ImageShape& shape) {
  const NoiseSpec noise = vote_settings(settings, shape).noise;
  return noise_traits(noise.law).slack_per_pixel(noise) * static_cast<double>(shape.size());
}

double ceiling_radius(const CertifySettings& settings, const ImageShape& shape) {
  const BoundSettings bounds = bound_settings(settings, shape);
  if (is_exact(settings.noise))
    return split_certificate(std::vector<std::uint64_t>{settings.n, 0}, 0, bounds.width).radius;
  return bound_votes({settings.n, 0, settings.n}, bounds).radius;
}

}  // namespace smoothcert
