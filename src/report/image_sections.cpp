// The sections with pictures: adversarial images, and one image under noise.
#include <fmt/format.h>

#include <algorithm>

#include "report/escape.hpp"
#include "report/figures.hpp"
#include "report/image_panel.hpp"
#include "report/sections.hpp"
#include "report/study_tables.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

constexpr std::size_t kMaxShown = 10;  ///< images a row

std::string picture(const std::vector<std::uint8_t>& pixels, const ImageShape& shape,
                    const std::string& text) {
  if (pixels.empty()) return "";
  return fmt::format("<img alt=\"{}\" src=\"{}\" width=\"{}\" height=\"{}\">", xml(text),
                     data_uri(png(pixels, shape, 1)), shape.width, shape.height);
}

std::string answer(int prediction, int label) {
  return fmt::format("<span class=\"{}\">{} {}</span>", prediction == label ? "right" : "wrong",
                     prediction, prediction == label ? "✓" : "✗");
}

std::string budget(const StudyResult& study, AttackKind kind) {
  for (const StudyModel& m : study.models)
    for (const AttackReport& a : m.attacks)
      if (a.spec.kind == kind) return " (ε = " + format_shortest(a.spec.epsilon) + ")";
  return "";
}

/// One model's three rows: original, L2, L∞.
std::string showcase_rows(const StudyResult& study, const std::string& model, std::size_t shown) {
  std::string rows[3];
  for (std::size_t i = 0; i < shown; ++i) {
    const ShowcaseImage& image = study.showcase[i];
    const auto view = std::find_if(image.views.begin(), image.views.end(),
                                   [&](const ShowcaseView& v) { return v.model == model; });
    if (view == image.views.end()) {
      for (std::string& row : rows) row += "<td></td>";
      continue;
    }
    const auto cell = [&](const std::vector<std::uint8_t>& pixels, int prediction, bool zero,
                          const char* kind) {
      const std::string text = fmt::format("{}, label {}, the {} model answers {}", kind,
                                           image.label, model, prediction);
      return fmt::format("<td>{}{}{}</td>", picture(pixels, study.shape, text),
                         answer(prediction, image.label), zero ? "<br>zero gradient" : "");
    };
    rows[0] += cell(image.pixels, view->prediction, false, "original");
    rows[1] += cell(view->l2, view->l2_prediction, view->l2_zero_gradient, "L2 adversarial");
    rows[2] += cell(view->linf, view->linf_prediction, view->linf_zero_gradient, "L∞ adversarial");
  }
  const std::string l2 = "L2" + budget(study, AttackKind::fgm_l2);
  const std::string linf = "L∞" + budget(study, AttackKind::fgm_linf);
  return fmt::format(
      "<tr class=\"model\"><th scope=\"colgroup\" colspan=\"{}\">{}</th></tr>"
      "<tr><th scope=\"row\">original</th>{}</tr><tr><th scope=\"row\">{}</th>{}</tr>"
      "<tr><th scope=\"row\">{}</th>{}</tr>\n",
      shown + 1, xml(model), rows[0], xml(l2), rows[1], xml(linf), rows[2]);
}

void showcase_figure(Page& page, const StudyResult& study) {
  if (study.showcase.empty()) return;
  const std::size_t shown = std::min(kMaxShown, study.showcase.size());
  std::string html =
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Original and adversarial "
      "images\"><table class=\"images\"><thead><tr><th>label</th>";
  for (std::size_t i = 0; i < shown; ++i)
    html += fmt::format("<th scope=\"col\">{}</th>", study.showcase[i].label);
  html += "</tr></thead><tbody>\n";
  for (const StudyModel& m : study.models) html += showcase_rows(study, m.name, shown);
  page.figure_html(
      html + "</tbody></table></div>",
      "Test images as they are and attacked in one step through each model (white box), with "
      "the model's answer beneath: ✓ the label, ✗ anything else. Attacked images are rounded "
      "to 8 bits for display; the answers are for the unrounded ones.");
}

/// From votes to a radius, one row a model.
Table vote_table(const NoiseDemonstration& demo, const StudyResult& study) {
  Table table;
  table.caption = fmt::format(
      "Certificate of image {}: p̲ = BetaInv(α; k, n − k + 1), radius = σ · Φ⁻¹(p̲), with α = {} and "
      "σ = {}; "
      "where p̲ ≤ ½ the model abstains.",
      demo.image, format_shortest(study.certify.alpha), format_shortest(study.certify.sigma));
  table.label = fmt::format("image-{}", demo.image);
  table.columns = {{"model", false}, {"class A"},      {"k votes for A"}, {"of n"}, {"p̲"},
                   {"radius"},       {"answer", false}};
  for (const auto& vote : demo.votes) {
    const Certificate& c = vote.certificate;
    std::uint64_t n = c.estimation.invalid;
    for (const std::uint64_t k : c.estimation.counts) n += k;
    const auto a = static_cast<std::size_t>(std::max(c.selected, 0));
    const std::uint64_t k = a < c.estimation.counts.size() ? c.estimation.counts[a] : 0;
    const bool abstained = c.prediction < 0;
    table.rows.push_back(
        {vote.model, fmt::format("{}", c.selected), format_count(k), format_count(n),
         format_down(c.p_lower, 6), abstained ? "–" : format_down(c.radius, 4),
         abstained ? "abstains"
                   : fmt::format("{}, {}", c.prediction, c.correct() ? "right" : "wrong")});
  }
  table.notes = {alpha_caveat(study.certify.alpha)};
  return table;
}

void demonstration(Page& page, const StudyResult& study, const NoiseDemonstration& demo) {
  const std::size_t shown = std::min(kMaxShown - 1, demo.copies.size());
  std::string html =
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Noisy copies\"><table "
      "class=\"images\"><thead><tr><th></th><th scope=\"col\">original</th>";
  for (std::size_t i = 0; i < shown; ++i) html += fmt::format("<th scope=\"col\">{}</th>", i + 1);
  html += fmt::format(
      "</tr></thead><tbody><tr><th></th><td>{}label {}</td>",
      picture(demo.pixels, study.shape, fmt::format("image {}, label {}", demo.image, demo.label)),
      demo.label);
  for (std::size_t i = 0; i < shown; ++i)
    html += fmt::format("<td>{}</td>",
                        picture(demo.copies[i], study.shape,
                                fmt::format("noisy copy {} of image {}", i + 1, demo.image)));
  html += "</tr>\n";
  for (const auto& vote : demo.votes) {
    html += fmt::format("<tr><th scope=\"row\">{}</th><td></td>", xml(vote.model));
    for (std::size_t i = 0; i < shown; ++i)
      html += i < vote.predictions.size()
                  ? fmt::format("<td>{}</td>", answer(vote.predictions[i], demo.label))
                  : "<td></td>";
    html += "</tr>\n";
  }
  page.figure_html(
      html + "</tbody></table></div>",
      fmt::format("Test image {} and the first of its noisy copies (σ = {}), as they were counted, "
                  "with each base classifier's answer.",
                  demo.image, format_shortest(study.certify.sigma)));
  std::vector<Chart> charts;
  for (const auto& vote : demo.votes) charts.push_back(vote_chart(vote, demo.image));
  if (!charts.empty())
    page.figure_grid(
        charts, kSmall,
        fmt::format("Votes of each base classifier over the noisy copies of image {} (counts above "
                    "the bars); the selected class is highlighted.",
                    demo.image));
  if (!demo.votes.empty()) page.table(vote_table(demo, study));
}

void masking(Page& page, const StudyResult& study) {
  std::string items;
  for (const StudyModel& m : study.models)
    for (std::string note : gradient_masking_notes(m)) {
      if (note.starts_with("gradient masking: ")) note.erase(0, 18);  // said once, above
      items += fmt::format("<li>{}</li>\n", xml(note));
    }
  if (items.empty()) return;
  page.raw(
      "<div class=\"banner\" role=\"note\"><b>Gradient masking.</b> The one-step figures are far "
      "above "
      "what several steps of the same size of perturbation leave.<ul class=\"masking\">\n" +
      items + "</ul></div>\n");
}

}  // namespace

void worst_images_figure(Page& page, const std::vector<WorstImages>& all, const ImageShape& shape) {
  std::size_t columns = 0;
  for (const WorstImages& worst : all) columns = std::max(columns, worst.images.size());
  columns = std::min(columns, kMaxShown);
  if (columns == 0) return;
  std::string html =
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Certified but wrong "
      "images\"><table class=\"images\"><tbody>\n";
  for (const WorstImages& worst : all) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", xml(worst.model));
    for (std::size_t i = 0; i < columns; ++i) {
      if (i >= worst.images.size()) {
        html += "<td></td>";
        continue;
      }
      const WorstImages::Image& image = worst.images[i];
      const std::string text =
          fmt::format("image {}, label {}, {} answers {} with radius {}", image.image, image.label,
                      worst.model, image.prediction, format_down(image.radius, 3));
      html += fmt::format("<td>{}<span class=\"wrong\">{} → {}</span><br>{}</td>",
                          picture(image.pixels, shape, text), image.label, image.prediction,
                          format_down(image.radius, 3));
    }
    html += "</tr>\n";
  }
  page.figure_html(html + "</tbody></table></div>",
                   "Robustly wrong: certified images with another class than their label "
                   "(label → answer, and the radius), the largest radius first. Within it no "
                   "perturbation makes the answer right.");
}

void noise_section(Page& page, const StudyResult& study) {
  if (study.demonstrations.empty()) return;
  page.heading("What smoothing does to one image", "noise");
  page.paragraph(
      "The smoothed model answers the class its base classifier gives most often when noise is "
      "added. The "
      "share of that class, bounded from below at confidence 1 − α, gives the radius within which "
      "no L2 "
      "perturbation can change the answer.");
  for (const NoiseDemonstration& demo : study.demonstrations) demonstration(page, study, demo);
}

void attack_section(Page& page, const StudyResult& study) {
  const bool attacked =
      std::any_of(study.models.begin(), study.models.end(),
                  [](const StudyModel& m) { return !m.attacks.empty() || m.clean_accuracy >= 0; });
  if (study.showcase.empty() && !attacked) return;
  page.heading("Under attack", "attacks");
  showcase_figure(page, study);
  if (!attacked) return;
  page.table(accuracy_table(study));
  masking(page, study);
}

}  // namespace smoothcert::report
