// The tables of a study, and the sentences that must travel with them.
#include "report/study_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/analysis_tables.hpp"
#include "report/published.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/soundness.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

double share(std::uint64_t k, std::uint64_t n) {
  return n == 0 ? -1.0 : static_cast<double>(k) / static_cast<double>(n);
}

bool same_attack(const AttackSpec& a, const AttackSpec& b) {
  return a.kind == b.kind && a.epsilon == b.epsilon && a.steps == b.steps &&
         a.step_size == b.step_size && a.random_start == b.random_start && a.restarts == b.restarts;
}

/// The attacks of all models, each once, in the first model's order.
std::vector<AttackSpec> attack_columns(const StudyResult& study) {
  std::vector<AttackSpec> specs;
  for (const StudyModel& m : study.models)
    for (const AttackReport& a : m.attacks)
      if (std::none_of(specs.begin(), specs.end(),
                       [&](const AttackSpec& s) { return same_attack(s, a.spec); }))
        specs.push_back(a.spec);
  return specs;
}

const AttackReport* find_attack(const StudyModel& model, const AttackSpec& spec) {
  for (const AttackReport& a : model.attacks)
    if (same_attack(a.spec, spec)) return &a;
  return nullptr;
}

double published_accuracy(const PublishedFigures& published, const AttackSpec& spec) {
  if (spec.kind == AttackKind::fgm_l2 && spec.epsilon == 5.0) return published.l2_accuracy;
  if (spec.kind == AttackKind::fgm_linf && spec.epsilon == 0.3) return published.linf_accuracy;
  return -1;
}

}  // namespace

std::string dataset_title(const std::string& name) {
  if (name == "mnist") return "MNIST";
  if (name == "fashion-mnist") return "Fashion-MNIST";
  if (name == "cifar10") return "CIFAR-10";
  if (name == "cifar100") return "CIFAR-100";
  return name;
}

std::string alpha_caveat(double alpha) {
  if (!(alpha > 0 && alpha < 1)) return {};
  const double one_in = 1 / alpha;
  const std::string many = std::fabs(one_in - 20) < 1e-9   ? "twenty"
                           : std::fabs(one_in - 10) < 1e-9 ? "ten"
                           : std::fabs(one_in - std::round(one_in)) < 1e-6 * one_in
                               ? format_count(static_cast<std::uint64_t>(std::llround(one_in)))
                               : format_fixed(one_in, 1);
  return fmt::format(
      "At α = {} up to one certificate in {} may be false: each one holds with probability at "
      "least {} %.",
      format_shortest(alpha), many, format_shortest(std::round((1 - alpha) * 1e8) / 1e6));
}

std::string p_b_text(SecondBound p_b) {
  return p_b == SecondBound::complement ? "1 − p_A's bound"
                                        : "from the second count, both bounds at α/2";
}

std::string attack_label(const AttackSpec& spec) {
  std::string label;
  switch (spec.kind) {
    case AttackKind::fgm_l1:
      label = "L1";
      break;
    case AttackKind::fgm_l1_steepest:
      label = "L1 steepest";
      break;
    case AttackKind::fgm_l2:
      label = "L2";
      break;
    case AttackKind::fgm_linf:
      label = "L∞";
      break;
    case AttackKind::pgd_l2:
      label = "PGD L2";
      break;
    case AttackKind::pgd_linf:
      label = "PGD L∞";
      break;
  }
  label += ", ε\u00a0=\u00a0" + format_shortest(spec.epsilon);
  if (spec.projected()) label += fmt::format(", {}\u00a0steps", spec.steps);
  return label;
}

Table comparison_table(const StudyResult& study) {
  Table table;
  table.caption = fmt::format(
      "Certification of {} test images (σ = {}, n₀ = {}, n = {}, α = {}). ± is a 95 % interval "
      "over "
      "images.",
      format_count(study.certified_images), format_shortest(study.certify.sigma),
      format_count(study.certify.n0), format_count(study.certify.n),
      format_shortest(study.certify.alpha));
  table.label = "comparison";
  table.columns = {{"model", false},
                   {"correct & certified"},
                   {"of all, %"},
                   {"certified, but wrong"},
                   {"abstained"},
                   {"mean radius, right or wrong"},
                   {"mean radius, right ones"},
                   {"ACR"}};
  for (const StudyModel& m : study.models) {
    const Summary& s = m.summary;
    if (s.images == 0) continue;
    const bool any_certified = s.wrong + s.correct_certified > 0;
    table.rows.push_back(
        {m.name, format_count(s.correct_certified),
         format_percent(share(s.correct_certified, s.images), 2), format_count(s.wrong),
         format_count(s.abstained), any_certified ? format_down(s.avg_radius_certified, 4) : "–",
         s.correct_certified > 0 ? format_down(s.avg_radius_correct, 4) : "–", acr_text(s)});
    const PublishedFigures* published = published_for(study, m);
    if (published == nullptr || published->correct_certified < 0) continue;
    table.quiet_rows.push_back(table.rows.size());
    table.rows.push_back(
        {"published", format_count(static_cast<std::uint64_t>(published->correct_certified)),
         format_percent(published->correct_certified / 10000, 2), "–", "–",
         published->avg_radius_certified < 0 ? "–"
                                             : format_fixed(published->avg_radius_certified, 4),
         "–", "–"});
  }
  table.notes = {
      alpha_caveat(study.certify.alpha),
      "Mean radius, right or wrong: over all images that did not abstain (the study’s "
      "average). Right ones: over correct and certified images. ACR: the radii of correct "
      "images, summed, over all images (the literature’s average certified radius). Radii "
      "are rounded down."};
  table.notes.push_back("The guarantee of these radii: " +
                        guarantee_text(study.certify.noise, study.certify.mode) + ".");
  if (std::string text = constancy_sentence(run_views(study)); !text.empty())
    table.notes.push_back(std::move(text));
  if (!table.quiet_rows.empty())
    table.notes.push_back(
        "Published: the figures of the study whose comparison this repeats (see References), on "
        "all 10,000 MNIST test images with n₀ = 1,000, n = 10,000, "
        "α = 0.05.");
  return table;
}

Table accuracy_table(const StudyResult& study) {
  Table table;
  table.caption = fmt::format("Accuracy in % on {} test images, clean and under attack.",
                              format_count(study.attacked_images));
  table.label = "accuracy";
  const std::vector<AttackSpec> attacks = attack_columns(study);
  table.columns = {{"model", false}, {"figure", false}, {"clean"}};
  for (const AttackSpec& spec : attacks) table.columns.push_back({attack_label(spec)});
  for (const StudyModel& m : study.models) {
    std::vector<std::string> worst = {m.name, "worse of two losses",
                                      format_percent(m.clean_accuracy, 2)};
    std::vector<std::string> cross_entropy = {m.name, "cross-entropy (study's)",
                                              format_percent(m.clean_accuracy, 2)};
    std::vector<std::string> zero = {m.name, "zero gradients, images", ""};
    std::vector<std::string> nan = {m.name, "NaN gradients, images", ""};
    bool any_nan = false;
    for (const AttackSpec& spec : attacks) {
      const AttackReport* a = find_attack(m, spec);
      worst.push_back(a ? format_percent(share(a->correct_worst, a->images), 2) : "–");
      cross_entropy.push_back(a ? format_percent(share(a->correct_cross_entropy, a->images), 2)
                                : "–");
      zero.push_back(a ? format_count(a->zero_gradient) : "–");
      nan.push_back(a ? format_count(a->nan_gradient) : "–");
      any_nan = any_nan || (a && a->nan_gradient > 0);
    }
    table.rows.push_back(std::move(cross_entropy));
    table.rows.push_back(std::move(worst));
    table.rows.push_back(std::move(zero));
    if (any_nan) table.rows.push_back(std::move(nan));
    const PublishedFigures* published = published_for(study, m);
    if (published == nullptr) continue;
    std::vector<std::string> row = {m.name, "published",
                                    format_percent(published->clean_accuracy, 2)};
    bool any = published->clean_accuracy >= 0;
    for (const AttackSpec& spec : attacks) {
      const double accuracy = published_accuracy(*published, spec);
      any = any || accuracy >= 0;
      row.push_back(format_percent(accuracy, 2));
    }
    if (!any) continue;
    table.quiet_rows.push_back(table.rows.size());
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "Worse of two losses: an image counts as correct only if neither the cross-entropy nor the "
      "margin "
      "loss breaks it; that is the figure to quote. Where the gradient is exactly zero, an attack "
      "on the "
      "cross-entropy has nothing to follow."};
  return table;
}

Table settings_table(const StudyResult& study) {
  Table table;
  table.caption = "Everything needed to repeat this.";
  table.label = "settings";
  table.columns = {{"setting", false}, {"value", false}};
  const auto add = [&](std::string name, std::string value) {
    if (!value.empty()) table.rows.push_back({std::move(name), std::move(value)});
  };
  const CertifySettings& c = study.certify;
  add("command", study.command);
  add("program", "smoothcert " + study.program_version);
  add("noise and arithmetic", study.arithmetic);
  add("device", study.device);
  add("started", study.started);
  add("data set", study.dataset_name);
  add("data origin", study.dataset_origin);
  add("training images",
      fmt::format("{}, SHA-256 {}", format_count(study.train_images), study.train_hash));
  add("test images",
      fmt::format("{}, SHA-256 {}", format_count(study.test_images), study.test_hash));
  add("certified images", format_count(study.certified_images) +
                              (study.subset_note.empty() ? "" : "; " + study.subset_note));
  add("σ", format_shortest(c.sigma));
  add("n₀ (selection)", format_count(c.n0));
  add("n (estimation)", format_count(c.n));
  add("α", format_shortest(c.alpha));
  add("seed of certification", fmt::format("{}", c.seed));
  add("seed of training", fmt::format("{}", study.train_seed));
  add("bound of p_B", p_b_text(c.p_b));
  add("noise law", c.noise == NoiseLaw::lattice
                       ? "rounded Gaussian on the 1/255 lattice (sound as executed)"
                       : "continuous Gaussian (sound in real arithmetic only)");
  add("clamp", c.clamp ? "noisy pixels clamped to [0, 1]" : "none");
  add("mode", to_name(c.mode));
  add("guarantee", guarantee_text(c.noise, c.mode));
  for (const StudyModel& m : study.models) {
    add("model " + m.name,
        fmt::format("{}, {} parameters; recipe {}, {} epoch{}, seed {}; SHA-256 {}", m.network,
                    format_count(m.parameters), m.record.recipe, m.record.epochs,
                    m.record.epochs == 1 ? "" : "s", m.record.seed, m.hash));
    add("votes of " + m.name,
        m.run.precision.empty() && m.run.backend.empty()
            ? ""
            : m.run.precision + (m.run.backend.empty() ? "" : ", " + m.run.backend));
  }
  add("time",
      fmt::format("training {}, attacks {}, certification {}",
                  format_duration(study.seconds_training), format_duration(study.seconds_attacks),
                  format_duration(study.seconds_certify)));
  return table;
}

}  // namespace smoothcert::report
