// More statements from the same counts, image by image and over a run.
#include "smoothcert/more_certificates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "smoothcert/class_bounds.hpp"
#include "smoothcert/error.hpp"
#include "util/median.hpp"

namespace smoothcert {

MoreCertificates more_certificates(const Certificate& certificate, const BoundSettings& settings) {
  const VoteSplit votes = vote_split(certificate.selection, certificate.estimation);
  MoreCertificates more;
  const std::size_t classes = certificate.estimation.counts.size();
  const std::size_t largest = std::min(kLargestK, classes > 0 ? classes - 1 : 0);
  for (std::size_t k = 1; k <= largest; ++k)
    more.top_k_radius.push_back(
        top_k_radius(votes.a, votes.n, static_cast<std::uint32_t>(k), settings));
  more.ceiling = method_ceiling(votes, settings.alpha, settings.sigma, settings.sampling);
  return more;
}

MoreOfRun more_of_run(std::span<const Certificate> certificates, const BoundSettings& settings) {
  MoreOfRun run;
  std::vector<double> shares;
  for (const Certificate& c : certificates) {
    const MoreCertificates more = more_certificates(c, settings);
    run.top_k_acr.resize(std::max(run.top_k_acr.size(), more.top_k_radius.size()));
    if (c.selected == static_cast<int>(c.label))
      for (std::size_t k = 0; k < more.top_k_radius.size(); ++k)
        run.top_k_acr[k] += more.top_k_radius[k];
    if (c.correct()) shares.push_back(std::isfinite(more.ceiling) ? c.radius / more.ceiling : 0);
  }
  for (double& sum : run.top_k_acr) sum /= static_cast<double>(certificates.size());
  run.ceiling_share = lower_median(std::move(shares));
  return run;
}

namespace {

/// Distances by what they follow from, since unanimous images are many: (samples, votes for the
/// chosen class, votes for the other).
class DistanceTable {
 public:
  explicit DistanceTable(const BoundSettings& settings) : settings_(settings) {}

  std::vector<double> operator()(const StageCounts& votes, std::size_t chosen) {
    const std::uint64_t n =
        std::accumulate(votes.counts.begin(), votes.counts.end(), votes.invalid);
    std::vector<double> distances(votes.counts.size(), 0.0);
    std::vector<double> fresh;
    for (std::size_t c = 0; c < votes.counts.size(); ++c) {
      if (c == chosen) continue;
      const Key key{n, votes.counts[chosen], votes.counts[c]};
      auto known = known_.find(key);
      if (known == known_.end()) {
        if (fresh.empty())
          fresh = class_distances(class_bounds(votes.counts, votes.invalid, chosen, settings_),
                                  settings_);
        known = known_.emplace(key, fresh[c]).first;
      }
      distances[c] = known->second;
    }
    return distances;
  }

 private:
  using Key = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
  BoundSettings settings_;
  std::map<Key, double> known_;
};

}  // namespace

std::vector<LabelDistances> distances_by_label(std::span<const Certificate> certificates,
                                               const BoundSettings& settings) {
  DistanceTable distances(settings);
  std::map<Label, std::vector<std::vector<double>>> of_label;  // [label][class]: one an image
  for (const Certificate& c : certificates) {
    const std::size_t classes = c.estimation.counts.size();
    if (c.label >= classes) continue;
    auto& all = of_label[c.label];
    all.resize(classes);
    const std::vector<double> of_image = c.selected == static_cast<int>(c.label)
                                             ? distances(c.estimation, c.label)
                                             : std::vector<double>(classes, 0.0);
    for (std::size_t i = 0; i < classes; ++i) all[i].push_back(of_image[i]);
  }
  std::vector<LabelDistances> result;
  for (auto& [label, all] : of_label) {
    LabelDistances& entry = result.emplace_back();
    entry.label = label;
    entry.images = all.front().size();
    for (std::vector<double>& values : all) entry.median.push_back(lower_median(std::move(values)));
  }
  return result;
}

std::string to_text(const TopKQuestion& question) {
  return fmt::format("top-{} radii of the {}, from {}", question.k,
                     question.of == TopKOf::label ? "label" : "selected class",
                     question.from == TopKFrom::counts ? "all counts" : "its share");
}

Certificate top_k_certificate(const Certificate& certificate, const TopKQuestion& question,
                              const BoundSettings& settings) {
  if (noise_traits(settings.law).has_width())
    throw UsageError(fmt::format("top-{}: radii under {} noise say nothing of the k likeliest",
                                 question.k, to_name(settings.law)));
  const StageCounts& votes = certificate.estimation;
  const std::size_t classes = votes.counts.size();
  if (question.k == 0 || question.k >= classes)
    throw UsageError(fmt::format("top-{}: of {} classes, k is 1 … {}", question.k, classes,
                                 classes > 0 ? classes - 1 : 0));
  Certificate answer = certificate;
  if (question.of == TopKOf::label) answer.selected = static_cast<int>(certificate.label);
  const auto chosen = static_cast<std::size_t>(answer.selected);
  if (answer.selected < 0 || chosen >= classes)
    throw UsageError(fmt::format("top-{}: image {} has label {}, which is none of the {} classes",
                                 question.k, certificate.image, answer.selected, classes));
  const std::uint64_t n = std::accumulate(votes.counts.begin(), votes.counts.end(), votes.invalid);
  if (question.from == TopKFrom::counts) {
    const ClassBounds bounds = class_bounds(votes.counts, votes.invalid, chosen, settings);
    answer.radius = top_k_radius(bounds, question.k, settings);
    answer.p_lower = std::max(0.0, std::nextafter(1 - bounds.q_chosen - settings.slack, -HUGE_VAL));
  } else {
    BoundSettings alone = settings;  // no second class is bounded
    alone.p_b = SecondBound::complement;
    answer.radius = top_k_radius(votes.counts[chosen], n, question.k, alone);
    answer.p_lower = bound_votes({votes.counts[chosen], 0, n}, alone).p_lower;
  }
  answer.prediction = answer.radius > 0 ? answer.selected : -1;
  return answer;
}

}  // namespace smoothcert
