// The parts of a study's report, one function each, in reading order.
#include "report/sections.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "report/accuracy_chart.hpp"
#include "report/analysis_tables.hpp"
#include "report/escape.hpp"
#include "report/figures.hpp"
#include "report/published.hpp"
#include "report/sentences.hpp"
#include "report/study_tables.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

bool has_certificates(const StudyResult& study) {
  return std::any_of(study.models.begin(), study.models.end(),
                     [](const StudyModel& m) { return !m.certificates.empty(); });
}

bool has_history(const StudyResult& study) {
  return std::any_of(study.models.begin(), study.models.end(),
                     [](const StudyModel& m) { return !m.history.step_loss.empty(); });
}

std::string report_title(const StudyResult& study) {
  const std::string& name = study.dataset_name;
  if (name.empty() || !study.title.starts_with(name)) return study.title;
  return dataset_title(name) + study.title.substr(name.size());
}

/// "Stand-in data. The rest" → the first sentence in bold.
std::string banner(const std::string& text) {
  const std::size_t stop = text.find(". ");
  if (stop == std::string::npos || stop > 60)
    return fmt::format("<p class=\"banner\" role=\"note\">{}</p>\n", xml(text));
  return fmt::format("<p class=\"banner\" role=\"note\"><b>{}</b>{}</p>\n",
                     xml(text.substr(0, stop + 1)), xml(text.substr(stop + 1)));
}

}  // namespace

void title_section(Page& page, const StudyResult& study, bool with_files) {
  page.raw(fmt::format("<header><h1>{}</h1>\n", xml(report_title(study))));
  std::string byline = study.started;
  const auto add = [&](const std::string& part) {
    if (part.empty()) return;
    if (!byline.empty()) byline += " · ";
    byline += part;
  };
  add(dataset_title(study.dataset_name));
  add(study.device);
  if (!study.program_version.empty()) add("smoothcert " + study.program_version);
  page.raw(fmt::format("<p class=\"byline\">{}</p></header>\n", xml(byline)));
  for (const std::string& text : warnings(study)) page.raw(banner(text));
  page.raw("<section class=\"abstract\" aria-label=\"Abstract\"><p>");
  const Opening text = opening(study);
  for (const std::string& sentence : text.sentences) page.raw(xml(sentence) + "\n");
  page.raw("</p></section>\n<nav aria-label=\"Sections\">");
  const auto link = [&](bool there, const char* id, const char* text) {
    if (there) page.raw(fmt::format("<a href=\"#{}\">{}</a>", id, text));
  };
  link(has_certificates(study), "certificates", "Certificates");
  link(!study.demonstrations.empty(), "noise", "One image under noise");
  link(has_certificates(study), "answers", "Answers on noise");
  link(has_certificates(study), "analysis", "Label by label");
  link(!study.showcase.empty() || study.attacked_images > 0, "attacks", "Attacks");
  link(!published_paragraphs(study).empty(), "published", "Beside the study");
  link(has_history(study), "training", "Training");
  link(with_files, "files", "Files");
  link(true, "settings", "Settings");
  link(true, "references", "References");
  page.raw("</nav>\n");
}

void certification_section(Page& page, const StudyResult& study) {
  if (!has_certificates(study)) return;
  page.heading("What was certified", "certificates");
  page.table(comparison_table(study));
  const auto runs = run_views(study);
  for (const Chart& chart : accuracy_charts(charted(runs), "certified-accuracy", ""))
    page.figure(
        chart, fmt::format("Certified accuracy against radius: the share of all {} images that are "
                           "answered correctly with a certified radius of at least r. {}{}",
                           format_count(study.certified_images),
                           runs.size() <= kMostBands
                               ? "Bands are pointwise 95 % Clopper–Pearson intervals over images. "
                               : "",
                           alpha_caveat(study.certify.alpha)));
  page.table(radius_table(runs));
}

void analysis_section(Page& page, const StudyResult& study) {
  const auto runs = run_views(study);
  if (runs.empty()) return;
  page.heading("Label by label, image by image", "analysis");
  page.table(label_table(runs));
  worst_images_figure(page, study.worst, study.shape);
  if (runs.size() > 1) page.table(pair_table(compared_pairs(runs)));
  page.subheading("What stands behind the radii");
  page.table(standing_table(runs));
  if (const Table more = more_table(runs); !more.rows.empty()) page.table(more);
  page.details("How far the images of each label are from each class", distance_tables(runs));
  for (const Chart& chart : bound_charts(charted(runs), "bounds", ""))
    page.figure(
        chart,
        "The distribution of the bounds p̲ from which the radii follow (radius = σ·Φ⁻¹(p̲)): "
        "the share of images whose selected class, right or wrong, has at least probability p "
        "under noise. Left of p = ½ nothing is certified.");
}

void published_section(Page& page, const StudyResult& study) {
  const auto paragraphs = published_paragraphs(study);
  if (paragraphs.empty()) return;
  page.heading("Beside the study’s figures", "published");
  for (const std::string& text : paragraphs) page.paragraph(text);
}

void answers_section(Page& page, const StudyResult& study) {
  if (!has_certificates(study)) return;
  page.heading("Which class a model answers on noise", "answers");
  page.paragraph(
      "A radius grows with the share of noisy copies that get one answer, whether or not the "
      "answer is "
      "right. A model that gives the same class to nearly every noisy image therefore certifies "
      "large "
      "radii, and is right only on the images that happen to be of that class.");
  for (const std::string& sentence : opening(study).rest) page.paragraph(sentence);
  std::vector<Chart> charts;
  for (const StudyModel& m : study.models) {
    if (m.certificates.empty()) continue;
    page.paragraph(noise_answer_sentence(m, study.classes));
    charts.push_back(noise_answers_chart(m, study.classes));
  }
  for (const StudyModel& m : study.models)
    if (!m.certificates.empty()) charts.push_back(certified_by_class_chart(m, study.classes));
  page.figure_grid(
      charts, kSmall,
      "The share in % of each class among all answers on noisy test images (every estimation "
      "sample of the certification); and how many images are certified as each class, right or "
      "wrong. These count answers, not labels: how many images of a label are right is in "
      "the table by label. The most frequent answer is highlighted.");
}

void training_section(Page& page, const StudyResult& study) {
  if (!has_history(study)) return;
  page.heading("Training", "training");
  std::vector<Chart> charts;
  std::string windows;
  for (std::size_t i = 0; i < study.models.size(); ++i) {
    if (study.models[i].history.step_loss.empty()) continue;
    charts.push_back(loss_chart(study, i));
    windows += fmt::format("{}{} for {}", windows.empty() ? "" : ", ",
                           smoothing_window(study.models[i].history.step_loss.size()),
                           study.models[i].name);
  }
  for (std::size_t i = 0; i < study.models.size(); ++i)
    if (!study.models[i].history.step_accuracy.empty())
      charts.push_back(training_accuracy_chart(study, i));
  page.figure_grid(
      charts, kSmall,
      fmt::format("Loss and accuracy of each batch on the input that was trained on: attacked "
                  "for adversarial training, noisy for smoothing. Pale: each step; strong: "
                  "centred mean over steps ({}).",
                  windows));
}

void settings_section(Page& page, const StudyResult& study) {
  page.heading("Settings", "settings");
  page.raw("<div class=\"settings stack\">");
  page.table(settings_table(study));
  page.raw("</div>");
}

}  // namespace smoothcert::report
