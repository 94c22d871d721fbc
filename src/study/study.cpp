// What is read off a study: the published figures beside ours, gradient masking, tables, JSON.
#include "smoothcert/study.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "analysis/analysis_json.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/names.hpp"
#include "smoothcert/soundness.hpp"
#include "study/study_json.hpp"
#include "util/format_number.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;

/// From the study whose comparison this program rebuilds.
constexpr std::array kPublished = {
    PublishedFigures{"normal", 974, 2.0746, -1, 0.097, 0.027},
    PublishedFigures{"adversarial", 1870, 0.8292, 0.9653, 0.9459, -1},
    PublishedFigures{"smoothing", 7684, 0.9430, -1, -1, -1},
};

const AttackReport* find_attack(const StudyModel& model, AttackKind kind) {
  const auto found = std::find_if(model.attacks.begin(), model.attacks.end(),
                                  [&](const AttackReport& a) { return a.spec.kind == kind; });
  return found == model.attacks.end() || found->images == 0 ? nullptr : &*found;
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

json accuracy_json(const AttackReport& a) {
  return {{"attack", to_name(a.spec.kind)},
          {"epsilon", a.spec.epsilon},
          {"steps", a.spec.steps},
          {"images", a.images},
          {"accuracy_cross_entropy", share(a.correct_cross_entropy, a.images)},
          {"accuracy_margin", share(a.correct_margin, a.images)},
          {"accuracy_worst", share(a.correct_worst, a.images)},
          {"zero_gradient", a.zero_gradient},
          {"nan_gradient", a.nan_gradient}};
}

/// Every pair of models over the same images, at half of σ.
json pairs_json(const StudyResult& s) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  std::vector<PairedComparison> results;
  std::vector<double> mcnemar, permutation;
  for (std::size_t i = 0; i < s.models.size(); ++i)
    for (std::size_t j = i + 1; j < s.models.size(); ++j) {
      const auto result =
          compare_paired(s.models[i].certificates, s.models[j].certificates, s.certify.sigma / 2);
      if (result.images < 2) continue;
      pairs.emplace_back(i, j);
      results.push_back(result);
      mcnemar.push_back(result.mcnemar_p);
      permutation.push_back(result.permutation_p);
    }
  mcnemar = holm_adjusted(mcnemar);
  permutation = holm_adjusted(permutation);
  json list = json::array();
  for (std::size_t k = 0; k < pairs.size(); ++k)
    list.push_back(paired_json(s.models[pairs[k].first].name, s.models[pairs[k].second].name,
                               results[k], mcnemar[k], permutation[k]));
  return list;
}

}  // namespace

const PublishedFigures* published_figures(std::string_view regime) {
  for (const auto& figures : kPublished)
    if (figures.regime == regime) return &figures;
  return nullptr;
}

std::vector<std::string> gradient_masking_notes(const StudyModel& model) {
  struct Pair {
    AttackKind one_step, pgd;
    const char* norm;
  };
  // Ten points and a halving: well outside what the extra steps gain on an honest gradient.
  constexpr double kFar = 0.10;
  std::vector<std::string> notes;
  for (const auto& [one_step, pgd, norm] :
       {Pair{AttackKind::fgm_l2, AttackKind::pgd_l2, "L2"},
        Pair{AttackKind::fgm_linf, AttackKind::pgd_linf, "L∞"}}) {
    const auto* one = find_attack(model, one_step);
    const auto* many = find_attack(model, pgd);
    if (one == nullptr || many == nullptr || one->spec.epsilon != many->spec.epsilon) continue;
    const double before = share(one->correct_cross_entropy, one->images);
    const double after = share(many->correct_worst, many->images);
    if (before - after < kFar || after > before / 2) continue;
    notes.push_back(fmt::format(
        "gradient masking: one {} step of ε = {} leaves the {} model {} % accurate, {} steps of "
        "the "
        "same ε leave {} %. The one-step figure measures how well its gradient is hidden, not how "
        "robust it is.",
        norm, format_shortest(one->spec.epsilon), model.name, format_percent(before, 1),
        many->spec.steps, format_percent(after, 1)));
  }
  return notes;
}

std::string study_table(const StudyResult& s) {
  std::string text =
      fmt::format("{} of {} test images of {}, σ = {}, n0 = {}, n = {}, α = {}\n\n",
                  format_count(s.certified_images), format_count(s.test_images), s.dataset_name,
                  format_shortest(s.certify.sigma), format_count(s.certify.n0),
                  format_count(s.certify.n), format_shortest(s.certify.alpha));
  text +=
      fmt::format("{:<14}{:>10}{:>8}{:>22}{:>23}{:>20}{:>9}\n", "training", "abstained", "wrong",
                  "correct & certified", "mean radius, certified", "mean, correct", "ACR");
  bool published = false;
  for (const auto& model : s.models) {
    const auto& m = model.summary;
    const auto correct = fmt::format("{} ({} %)", format_count(m.correct_certified),
                                     format_percent(share(m.correct_certified, m.images), 2));
    text += fmt::format("{:<14}{:>10}{:>8}{:>22}{:>23}{:>20}{:>9}\n", model.name,
                        format_count(m.abstained), format_count(m.wrong), correct,
                        format_down(m.avg_radius_certified, 4),
                        format_down(m.avg_radius_correct, 4), format_down(m.acr, 4));
    const auto* figures = published_figures(model.name);
    if (figures == nullptr || s.stand_in_data || s.dataset_name != "mnist") continue;
    published = true;
    const auto theirs = fmt::format(
        "{} ({} %)", format_count(static_cast<std::uint64_t>(figures->correct_certified)),
        format_percent(figures->correct_certified / 1e4, 2));
    text += fmt::format("{:<14}{:>10}{:>8}{:>22}{:>23}\n", "  study", "", "", theirs,
                        format_fixed(figures->avg_radius_certified, 4));
  }
  text +=
      "\nmean radius, certified: over all images that did not abstain, wrong ones included (the "
      "study's average).\nmean, correct: over correct & certified images. ACR (average certified "
      "radius): wrong and abstained images count 0.\n";
  text += fmt::format("guarantee: {}.\n", guarantee_text(s.certify.noise, s.certify.mode));
  if (published) text += "study: the published figures, on all 10,000 test images of MNIST.\n";
  for (const auto& note : s.notes) text += note + "\n";
  return text;
}

std::string study_summary_json(const StudyResult& s) {
  json summary = study::head_json(s);
  summary["guarantee"] = guarantee_text(s.certify.noise, s.certify.mode);
  json models = json::array();
  for (const auto& model : s.models) {
    json attacks = json::array();
    for (const auto& attack : model.attacks) attacks.push_back(accuracy_json(attack));
    const auto& m = model.summary;
    json entry = {{"name", model.name},
                  {"file", model.file},
                  {"hash", model.hash},
                  {"network", model.network},
                  {"parameters", model.parameters},
                  {"record", study::record_json(model.record)},
                  {"clean_accuracy", model.clean_accuracy},
                  {"attacks", attacks},
                  {"gradient_masking", gradient_masking_notes(model)},
                  {"images", m.images},
                  {"abstained", m.abstained},
                  {"wrong", m.wrong},
                  {"correct_certified", m.correct_certified},
                  {"avg_radius_certified", m.avg_radius_certified},
                  {"avg_radius_correct", m.avg_radius_correct},
                  {"acr", m.acr},
                  {"acr_standard_error", m.acr_standard_error},
                  {"certify_seconds", model.certify_seconds},
                  {"analysis", analysis_json(model.certificates, &s.certify, s.shape)}};
    if (const auto* figures = published_figures(model.name))
      entry["published"] = {{"correct_certified", figures->correct_certified},
                            {"avg_radius_certified", figures->avg_radius_certified}};
    models.push_back(std::move(entry));
  }
  summary["models"] = std::move(models);
  summary["pairs"] = pairs_json(s);
  return summary.dump(2);
}

WorstImages worst_images(const Dataset& test, const std::string& model,
                         std::span<const Certificate> certificates, std::size_t count) {
  WorstImages worst{model, {}};
  for (const std::size_t at : worst_certificates(certificates, count)) {
    const Certificate& c = certificates[at];
    if (c.image >= test.size())
      throw Error(fmt::format("{}: image {} is not among the {} of {}", model, c.image, test.size(),
                              test.name));
    const auto pixels = test.image(c.image);
    worst.images.push_back(
        {c.image, c.label, c.prediction, c.radius, {pixels.begin(), pixels.end()}});
  }
  return worst;
}

}  // namespace smoothcert
