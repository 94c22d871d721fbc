// Gradient search for a disproof, and its one test.
#include "smoothcert/disprove.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noisy_inputs.hpp"

namespace smoothcert {
namespace {

// A candidate's lead among the search's votes, in standard errors: the test has more votes, and
// should not fail for a boundary case.
constexpr double kLead = 3;
// How far the search goes: so many certified radii, or so many σ where the radius is small. A small
// radius often says that no class has half of the votes, not that another one is near.
constexpr double kMostRadii = 4, kMostSigmas = 3;

struct Votes {
  std::uint64_t selected = 0, rival_votes = 0;
  int rival = -1;
};

/// The search at one image.
class Search {
 public:
  Search(BackendModel& model, const Dataset& data, const Certificate& certificate,
         const CertifySettings& settings, const DisproofSettings& disproof, std::stop_token stop)
      : model_(model),
        clean_(data.image(certificate.image)),
        image_(certificate.image),
        selected_(certificate.prediction),
        votes_(vote_settings(settings, data.shape)),
        disproof_(disproof),
        stop_(std::move(stop)),
        size_(data.shape.size()),
        labels_(disproof.noises, static_cast<Label>(selected_)) {
    for (const std::uint8_t v : clean_) start_.push_back(static_cast<float>(v) / 255.0f);
    // Noise alone: samples of a black image that nothing clamps.
    NoiseSpec noise = votes_.noise;
    noise.clamp = false;
    const std::vector<std::uint8_t> black(size_, 0);
    noises_.resize(labels_.size() * size_);
    noisy_inputs(noise, Purpose::search_disproof, image_, black, 0, noises_);
    inputs_.resize(noises_.size());
    gradients_.resize(noises_.size());
    logits_.resize(labels_.size() * static_cast<std::size_t>(model_.spec().classes));
  }

  /// The nearest candidate; its votes are not used again.
  std::optional<Disproof> nearest(double certified) {
    std::optional<Disproof> best;
    const auto found = [&](double epsilon) {
      if (stop_.stop_requested()) throw Interrupted("interrupted; what was finished is stored");
      const std::vector<std::uint8_t> pixels = attacked(epsilon);
      const Votes votes = count(pixels, Purpose::search_disproof, labels_.size(),
                                labels_.size() + disproof_.vote_samples);
      const double lead =
          static_cast<double>(votes.rival_votes) - static_cast<double>(votes.selected);
      if (lead < kLead * std::sqrt(static_cast<double>(votes.rival_votes + votes.selected)))
        return false;
      const std::uint64_t squares = image_distance(clean_, pixels).squares;
      if (!best || squares < best->squares) {
        best.emplace();
        best->image = image_;
        best->pixels = pixels;
        best->squares = squares;
        best->rival = votes.rival;
      }
      return true;
    };
    double low = certified, high = 2 * certified;
    while (!found(high)) {
      low = high;
      high *= 2;
      if (high > std::max(kMostRadii * certified, kMostSigmas * votes_.noise.sigma))
        return std::nullopt;
    }
    for (std::uint64_t i = 0; i < disproof_.bisections; ++i) {
      const double middle = (low + high) / 2;
      (found(middle) ? high : low) = middle;
    }
    return best;
  }

  /// The test: fresh samples, drawn once.
  void confirm(Disproof& candidate) {
    const Votes votes =
        count(candidate.pixels, Purpose::confirm_disproof, 0, disproof_.samples, candidate.rival);
    candidate.votes_selected = votes.selected;
    candidate.votes_rival = votes.rival_votes;
    candidate.samples = disproof_.samples;
    candidate.alpha = disproof_.alpha;
  }

 private:
  /// Votes at `pixels` for A and for its strongest rival, or for the rival given.
  Votes count(const std::vector<std::uint8_t>& pixels, Purpose purpose, std::uint64_t first,
              std::uint64_t last, int rival = -1) {
    Votes votes;
    model_
        .count_votes(
            votes_, {{image_, pixels.data(), purpose, first, last}},
            [&](const VoteResult& result) {
              for (int c = 0; rival < 0 && c < static_cast<int>(result.counts.size()); ++c)
                if (c != selected_ && (votes.rival < 0 || at(result, c) > at(result, votes.rival)))
                  votes.rival = c;
              if (rival >= 0) votes.rival = rival;
              votes.selected = at(result, selected_);
              votes.rival_votes = at(result, votes.rival);
            })
        ->wait();
    return votes;
  }
  static std::uint64_t at(const VoteResult& result, int c) {
    return result.counts[static_cast<std::size_t>(c)];
  }

  /// PGD from x at radius `epsilon`, rounded to 8-bit pixels.
  std::vector<std::uint8_t> attacked(double epsilon) {
    std::vector<float> x = start_;
    const double length = 2.5 * epsilon / static_cast<double>(disproof_.steps);
    for (std::uint64_t step = 0; step < disproof_.steps; ++step) {
      if (stop_.stop_requested()) throw Interrupted("interrupted; what was finished is stored");
      const std::vector<double> gradient = ascent(x);
      double norm = 0;
      for (const double g : gradient) norm += g * g;
      norm = std::sqrt(norm);
      if (!(norm > 0) || !std::isfinite(norm)) break;  // flat: no direction is better
      for (std::size_t p = 0; p < size_; ++p)
        x[p] += static_cast<float>(length * gradient[p] / norm);
      project(x, epsilon);
    }
    std::vector<std::uint8_t> pixels(size_);
    for (std::size_t p = 0; p < size_; ++p)
      pixels[p] = static_cast<std::uint8_t>(std::lround(std::clamp(x[p], 0.0f, 1.0f) * 255.0f));
    return pixels;
  }

  void project(std::vector<float>& x, double epsilon) const {
    double squares = 0;
    for (std::size_t p = 0; p < size_; ++p) {
      const double d = double{x[p]} - start_[p];
      squares += d * d;
    }
    const double scale = squares > epsilon * epsilon ? epsilon / std::sqrt(squares) : 1;
    for (std::size_t p = 0; p < size_; ++p)
      x[p] = std::clamp(static_cast<float>(start_[p] + scale * (double{x[p]} - start_[p])), 0.0f,
                        1.0f);
  }

  /// ∇ −log((1/m) Σ p_A(x + n_i)): the mean of the samples' cross-entropy gradients, weighted by
  /// p_A.
  std::vector<double> ascent(const std::vector<float>& x) {
    const bool clamp = votes_.noise.clamp;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const float noisy = x[i % size_] + noises_[i];
      inputs_[i] = clamp ? std::clamp(noisy, 0.0f, 1.0f) : noisy;
    }
    model_.input_gradient(inputs_, labels_, LossKind::cross_entropy, gradients_, logits_);
    std::vector<double> sum(size_, 0.0);
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      const double weight = probability(i);
      if (!(weight > 0)) continue;
      for (std::size_t p = 0; p < size_; ++p) {
        const float noisy = x[p] + noises_[i * size_ + p];
        if (clamp && (noisy < 0 || noisy > 1)) continue;  // the clamp passes no gradient
        sum[p] += weight * gradients_[i * size_ + p];
      }
    }
    return sum;
  }

  /// Softmax of A in sample i; 0 where a logit is NaN.
  [[nodiscard]] double probability(std::size_t i) const {
    const std::size_t classes = logits_.size() / labels_.size();
    const auto logits = std::span(logits_).subspan(i * classes, classes);
    double sum = 0;
    const double of_selected = logits[static_cast<std::size_t>(selected_)];
    for (const float v : logits) sum += std::exp(double{v} - of_selected);
    return std::isnan(sum) ? 0 : 1 / sum;
  }

  BackendModel& model_;
  std::span<const std::uint8_t> clean_;
  std::uint32_t image_;
  int selected_;
  VoteSettings votes_;
  const DisproofSettings& disproof_;
  std::stop_token stop_;
  std::size_t size_;
  std::vector<Label> labels_;  // A, for each of the noises
  std::vector<float> start_, noises_, inputs_, gradients_, logits_;
};

}  // namespace

void validate(const DisproofSettings& s) {
  const auto bad = [](const std::string& what) { throw UsageError("disprove: " + what); };
  if (!(s.alpha > 0 && s.alpha < 1)) bad(fmt::format("alpha is {}, outside 0 … 1", s.alpha));
  if (s.samples < 100 || s.samples > UINT32_MAX)
    bad(fmt::format("{} samples; the test takes 100 … 2^32 − 1", s.samples));
  if (s.vote_samples < 100 || s.vote_samples > UINT32_MAX / 2)
    bad(fmt::format("{} votes judge a candidate; it takes 100 at least", s.vote_samples));
  if (s.noises < 1 || s.noises > 4096) bad(fmt::format("{} noises, outside 1 … 4096", s.noises));
  if (s.steps < 1 || s.steps > 10000) bad(fmt::format("{} steps, outside 1 … 10000", s.steps));
  if (s.bisections > 30) bad(fmt::format("{} bisections, outside 0 … 30", s.bisections));
  // The smallest p-value of n votes is 2^−n.
  if (static_cast<double>(s.samples) * std::log(0.5) > std::log(s.alpha))
    bad(fmt::format("{} samples cannot reach alpha {}", s.samples, s.alpha));
}

std::optional<Disproof> find_disproof(BackendModel& model, const Dataset& data,
                                      const Certificate& certificate,
                                      const CertifySettings& settings,
                                      const DisproofSettings& disproof, std::stop_token stop) {
  validate(disproof);
  if (noise_traits(settings.noise).norm != Norm::l2)
    throw UsageError(fmt::format("disprove: the search is in L2, radii under {} are not",
                                 noise_traits(settings.noise).words));
  if (certificate.prediction < 0 || !(certificate.radius > 0))
    throw UsageError(
        fmt::format("image {} is not certified: there is nothing to disprove", certificate.image));
  const auto start = std::chrono::steady_clock::now();
  Search search(model, data, certificate, settings, disproof, std::move(stop));
  auto found = search.nearest(certificate.radius);
  if (!found) return found;
  search.confirm(*found);
  found->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return found;
}

}  // namespace smoothcert
