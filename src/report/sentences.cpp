// What the figures say, in plain words.
#include "report/sentences.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "report/figures.hpp"
#include "report/study_tables.hpp"
#include "smoothcert/votes.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

constexpr const char* kPercent = "\u00a0%";  // never alone on a line

std::string number_word(std::size_t n) {
  static constexpr const char* kWords[] = {"No", "One", "Two", "Three", "Four", "Five", "Six"};
  return n < std::size(kWords) ? kWords[n] : format_count(n);
}

std::string percent(std::uint64_t k, std::uint64_t n) {
  return n == 0 ? "–"
                : format_percent(static_cast<double>(k) / static_cast<double>(n), 1) + kPercent;
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += i + 1 == items.size() ? " and " : ", ";
    out += items[i];
  }
  return out;
}

std::vector<const StudyModel*> by_certified(const StudyResult& study) {
  std::vector<const StudyModel*> models;
  for (const StudyModel& m : study.models)
    if (m.summary.images > 0) models.push_back(&m);
  std::stable_sort(models.begin(), models.end(), [](const StudyModel* a, const StudyModel* b) {
    return a->summary.correct_certified > b->summary.correct_certified;
  });
  return models;
}

void certification_findings(const StudyResult& study, std::vector<std::string>& out) {
  const std::vector<const StudyModel*> ranked = by_certified(study);
  if (ranked.empty()) return;
  const Summary& best = ranked[0]->summary;
  if (best.correct_certified == 0) {
    out.push_back(
        fmt::format("None of the {} test images was certified with the right class by any model.",
                    format_count(best.images)));
    return;
  }
  std::string sentence = fmt::format(
      "The {} model certifies the right class for {} of {} test images ({}), with a mean radius of "
      "{} "
      "over these",
      ranked[0]->name, format_count(best.correct_certified), format_count(best.images),
      percent(best.correct_certified, best.images), format_down(best.avg_radius_correct, 3));
  std::vector<std::string> others;
  for (std::size_t i = 1; i < ranked.size(); ++i)
    others.push_back(fmt::format(
        "the {} model {} ({})", ranked[i]->name, format_count(ranked[i]->summary.correct_certified),
        percent(ranked[i]->summary.correct_certified, ranked[i]->summary.images)));
  out.push_back(sentence + (others.empty() ? "." : "; " + joined(others) + "."));

  for (std::size_t i = 1; i < ranked.size(); ++i) {
    const StudyModel& m = *ranked[i];
    if (m.summary.correct_certified == 0 ||
        m.summary.avg_radius_certified <= best.avg_radius_certified)
      continue;
    const NoiseAnswers answers = noise_answers(m, study.classes);
    if (answers.favourite < 0) continue;
    out.push_back(
        fmt::format("The {} model's certified images have a larger mean radius ({} against {}) "
                    "because it answers "
                    "class {} to {}\u00a0% of all noisy images, whatever they show.",
                    m.name, format_down(m.summary.avg_radius_certified, 3),
                    format_down(best.avg_radius_certified, 3), answers.favourite,
                    format_percent(answers.share(answers.favourite), 1)));
    if (answers.share(answers.favourite) < 0.5)  // no single class explains it
      out.back() =
          fmt::format("The {} model's certified images have a larger mean radius: {} against {}.",
                      m.name, format_down(m.summary.avg_radius_certified, 3),
                      format_down(best.avg_radius_certified, 3));
  }
}

void attack_findings(const StudyResult& study, std::vector<std::string>& out) {
  std::vector<std::string> masked;
  for (const StudyModel& m : study.models) {
    if (gradient_masking_notes(m).empty()) continue;
    const auto weakest = std::min_element(
        m.attacks.begin(), m.attacks.end(), [](const AttackReport& a, const AttackReport& b) {
          return a.correct_worst * b.images < b.correct_worst * a.images;
        });
    masked.push_back(fmt::format("{} for the {} model",
                                 percent(weakest->correct_worst, weakest->images), m.name));
  }
  if (masked.empty()) return;
  out.push_back(
      fmt::format("The one-step attack figures are gradient masking, not robustness: with more "
                  "steps of the same ε "
                  "the accuracy falls to {}.",
                  joined(masked)));
}

}  // namespace

std::vector<std::string> findings(const StudyResult& study) {
  std::vector<std::string> names;
  for (const StudyModel& m : study.models) names.push_back(m.name);
  std::vector<std::string> out;
  if (names.empty()) return {"This study has no models yet."};
  out.push_back(
      fmt::format("{} model{} ({}) {} trained on {} images of {}, attacked, and certified by "
                  "randomized smoothing with "
                  "σ\u00a0=\u00a0{}.",
                  number_word(names.size()), names.size() == 1 ? "" : "s", joined(names),
                  names.size() == 1 ? "was" : "were", format_count(study.train_images),
                  dataset_title(study.dataset_name), format_shortest(study.certify.sigma)));
  certification_findings(study, out);
  attack_findings(study, out);
  return out;
}

Opening opening(const StudyResult& study) {
  std::vector<std::string> all = findings(study);
  if (all.size() < 2) return {std::move(all), {}};
  Opening text;
  text.sentences = {all[0], all[1]};
  all.erase(all.begin(), all.begin() + 2);
  // The last sentence is what most changes how the second is to be read.
  const auto masking = std::ranges::find_if(
      all, [](const std::string& s) { return s.find("gradient masking") != s.npos; });
  if (masking != all.end()) {
    text.sentences.push_back(*masking);
    all.erase(masking);
  } else if (!all.empty()) {
    text.sentences.push_back(all.front());
    all.erase(all.begin());
  } else {
    text.sentences.push_back(alpha_caveat(study.certify.alpha));
  }
  text.rest = std::move(all);
  return text;
}

/// Whether a banner of ours, or the caveat beside each table, says the same as one of the study's
/// notes.
static bool covered(const StudyResult& study, const std::string& note) {
  return note.starts_with("At α") || (study.stand_in_data && note.find("drawn by") != note.npos) ||
         (study.certify.noise == NoiseLaw::gaussian && note.starts_with("Continuous noise")) ||
         (!study.subset_note.empty() && note.find(study.subset_note) != note.npos);
}

std::vector<std::string> warnings(const StudyResult& study) {
  std::vector<std::string> out;
  if (study.stand_in_data)
    out.push_back(fmt::format(
        "Stand-in data. No real data set was at hand: these images (“{}”) were drawn by the "
        "program. None of the figures here is MNIST's, and the published ones are left out.",
        study.dataset_name));
  if (study.certify.noise == NoiseLaw::gaussian)
    out.push_back(
        "Continuous noise. The certificates hold in real arithmetic only: in floating point the "
        "noise "
        "leaks the image, and a certificate can be false. Lattice noise (the default) has no such "
        "gap.");
  if (study.certified_images < study.test_images)
    out.push_back(fmt::format("A part of the test set. {} of {} test images were certified{}",
                              format_count(study.certified_images), format_count(study.test_images),
                              study.subset_note.empty() ? "." : ": " + study.subset_note + "."));
  if (study.certify.mode == Mode::fast)
    out.push_back(
        "Fast mode. The certificates are for the classifier as this device computes it, not for "
        "the "
        "exact one.");
  for (const std::string& note : study.notes)
    if (!covered(study, note)) out.push_back(note);
  return out;
}

std::string noise_answer_sentence(const StudyModel& model, int classes) {
  const NoiseAnswers answers = noise_answers(model, classes);
  if (answers.favourite < 0) return {};
  const auto favourite = static_cast<std::size_t>(answers.favourite);
  if (answers.share(answers.favourite) < 0.25)
    return fmt::format(
        "The {} model's answers on noisy images are spread: its most frequent one, {}, takes "
        "{}\u00a0%.",
        model.name, favourite, format_percent(answers.share(answers.favourite), 1));
  std::uint64_t certified = 0;
  for (const std::uint64_t k : answers.certified) certified += k;
  std::string text = fmt::format(
      "On noisy images the {} model answers {} in {}\u00a0% of {} draws", model.name, favourite,
      format_percent(answers.share(answers.favourite), 1), format_count(answers.samples));
  if (certified == 0) return text + "; it certifies no image.";
  text +=
      fmt::format("; {} of its {} certified images are certified as {}",
                  format_count(answers.certified[favourite]), format_count(certified), favourite);
  return text + fmt::format(", of which {} are labelled {}.",
                            format_count(answers.right[favourite]), favourite);
}

}  // namespace smoothcert::report
