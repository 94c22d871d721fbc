// The report of a sweep: every run of a store, and peers beside them.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "analysis/analysis_json.hpp"
#include "report/accuracy_chart.hpp"
#include "report/analysis_tables.hpp"
#include "report/disproof_section.hpp"
#include "report/escape.hpp"
#include "report/figure_files.hpp"
#include "report/page.hpp"
#include "report/references.hpp"
#include "report/sections.hpp"
#include "report/study_tables.hpp"
#include "report/sweep_tables.hpp"
#include "report/table_files.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/version.hpp"
#include "smoothcert/votes.hpp"
#include "util/atomic_file.hpp"
#include "util/format_number.hpp"

namespace smoothcert {
namespace {

using report::Chart;
using report::ChartedRun;
using report::RunView;

constexpr std::size_t kWorstShown = 6;

/// The runs whose radii are in one norm. No table and no chart holds two of them: their radii
/// cannot be compared.
struct NormGroup {
  Norm norm;
  SweepResult sweep;
  bool alone = true;  ///< no other group
  [[nodiscard]] std::vector<RunView> runs() const { return report::run_views(sweep); }
  /// "certified-accuracy" → "certified-accuracy-l1". L2 radii have the plain names.
  [[nodiscard]] std::string named(const std::string& name) const {
    return norm == Norm::l2 ? name : name + "-" + to_name(norm);
  }
  [[nodiscard]] std::string note() const {
    return alone && norm == Norm::l2 ? "" : " Radii are in " + report::norm_title(norm) + ".";
  }
  [[nodiscard]] report::Table marked(report::Table table) const {
    table.caption += note();
    table.label = named(table.label);
    return table;
  }
};

Norm norm_of(const ReportedRun& run) {
  return run.imported ? Norm::l2 : noise_traits(run.settings.certify.noise).norm;
}

std::vector<NormGroup> norm_groups(const SweepResult& sweep) {
  std::vector<NormGroup> groups;
  for (const Norm norm : {Norm::l2, Norm::l1, Norm::linf}) {
    NormGroup group{norm, {sweep.title, sweep.command, {}, sweep.stores, sweep.left_out}};
    for (const ReportedRun& run : sweep.runs)
      if (norm_of(run) == norm) group.sweep.runs.push_back(run);
    if (!group.sweep.runs.empty()) groups.push_back(std::move(group));
  }
  for (NormGroup& group : groups) group.alone = groups.size() == 1;
  return groups;
}

/// The runs of one noise level; imported ones, whose σ nobody knows, are a group of their own.
struct Panel {
  std::string name;   ///< of files: "sigma-0-5", "imported"
  std::string title;  ///< "σ = 0.5"
  std::vector<ChartedRun> runs;
};

/// A run's name without the σ or λ that its panel's title says.
std::string name_in_panel(const RunView& run) {
  if (run.settings == nullptr) return run.name;
  const std::string sigma = ", " + noise_level_text(*run.settings);
  std::string name = run.name;
  if (const std::size_t at = name.find(sigma);
      at != std::string::npos &&
      (at + sigma.size() == name.size() || name[at + sigma.size()] == ','))
    name.erase(at, sigma.size());
  return name;
}

/// One panel a noise level. A model keeps its style from panel to panel while there are styles.
std::vector<Panel> panels(const std::vector<RunView>& runs) {
  std::map<double, Panel> by_sigma;
  Panel imported{"imported", "imported results", {}};
  std::vector<std::string> styles;
  for (const RunView& run : runs) {
    const std::string label = name_in_panel(run);
    auto known = std::ranges::find(styles, label);
    if (known == styles.end()) known = styles.insert(styles.end(), label);
    const auto style = static_cast<int>(known - styles.begin());
    if (run.settings == nullptr) {
      imported.runs.push_back({label, style, run});
      continue;
    }
    Panel& panel = by_sigma[run.settings->sigma];
    panel.name = noise_traits(run.settings->noise).scale + std::string("-") +
                 report::slug(noise_level(*run.settings));
    panel.title = noise_level_text(*run.settings);
    panel.runs.push_back({label, style, run});
  }
  std::vector<Panel> out;
  for (auto& [sigma, panel] : by_sigma) out.push_back(std::move(panel));
  if (!imported.runs.empty()) out.push_back(std::move(imported));
  if (styles.size() > static_cast<std::size_t>(report::kStyles))
    for (Panel& panel : out)
      for (std::size_t i = 0; i < panel.runs.size(); ++i)
        panel.runs[i].style = static_cast<int>(i) % report::kStyles;
  return out;
}

/// All runs in one plot while every one of them can have a style of its own; and, where that is
/// crowded or impossible, one plot a σ.
std::vector<Chart> sweep_charts(const NormGroup& group) {
  const std::vector<RunView> runs = group.runs();
  const std::string name = group.named("certified-accuracy");
  std::vector<Chart> charts;
  const auto styles = static_cast<std::size_t>(report::kStyles);
  if (runs.size() <= styles) charts = report::accuracy_charts(report::charted(runs), name, "");
  const auto groups = panels(runs);
  if (runs.size() > styles || (runs.size() > report::kMostBands && groups.size() > 1))
    for (const Panel& panel : groups)
      for (Chart& chart : report::accuracy_charts(panel.runs, name + "-" + panel.name, panel.title))
        charts.push_back(std::move(chart));
  return charts;
}

std::vector<Chart> sweep_bound_charts(const NormGroup& group) {
  const std::vector<RunView> runs = group.runs();
  const std::string name = group.named("bounds");
  if (runs.size() <= static_cast<std::size_t>(report::kStyles))
    return report::bound_charts(report::charted(runs), name, "");
  std::vector<Chart> charts;
  for (const Panel& panel : panels(runs))
    for (Chart& chart : report::bound_charts(panel.runs, name + "-" + panel.name, panel.title))
      charts.push_back(std::move(chart));
  return charts;
}

/// Whether two runs are the same but for n, which was fixed: the longer one begins with the other's
/// samples.
bool nested(const SweepResult& sweep) {
  std::set<std::string> seen;
  for (const ReportedRun& run : sweep.runs) {
    if (run.imported || run.settings.certify.sequential ||
        kind_of(run.settings) == CertificateKind::exact)
      continue;
    RunSettings settings = run.settings;
    settings.certify.n = 0;
    if (!seen.insert(run_identity(settings)).second) return true;
  }
  return false;
}

std::vector<std::string> sweep_warnings(const SweepResult& sweep) {
  std::vector<std::string> out = sweep.left_out;
  std::uint64_t most = 0, least = UINT64_MAX;
  std::set<std::string> data;
  bool continuous = false, fast = false;
  for (const ReportedRun& run : sweep.runs) {
    most = std::max<std::uint64_t>(most, run.certificates.size());
    least = std::min<std::uint64_t>(least, run.certificates.size());
    if (run.certificates.empty())
      out.push_back(fmt::format("No images. {} covers none, and says nothing.", run.name));
    if (run.imported) continue;
    data.insert(run.settings.dataset_hash);
    continuous |= run.settings.certify.noise == NoiseLaw::gaussian;
    fast |= run.settings.certify.mode == Mode::fast;
  }
  if (data.size() > 1) {
    out.push_back(
        "Several data sets. The runs are about different images: compare rows of one data set "
        "only.");
  } else if (!report::same_images(sweep)) {
    std::vector<std::span<const Certificate>> spans;
    for (const ReportedRun& run : sweep.runs) spans.emplace_back(run.certificates);
    const bool common = !common_images(spans).empty();
    out.push_back(fmt::format(
        "Not the same images. The runs are over {}, so their figures cannot be compared as they "
        "stand{}",
        least < most ? fmt::format("{} to {} images", format_count(least), format_count(most))
                     : fmt::format("{} images each, but not the same ones", format_count(least)),
        common ? "; a table below compares them over the images that all of them cover."
               : "; no image is covered by all of them."));
  }
  for (const ReportedRun& run : sweep.runs)
    if (run.only_correct)
      out.push_back(
          fmt::format("Only correct images. {} covers images that its model answers right "
                      "without noise: its shares are of those alone.",
                      run.name));
  if (nested(sweep))
    out.push_back(
        "Nested runs. Runs that differ in n alone share their first samples. Each is a certificate "
        "at "
        "its own α; the larger of their radii, chosen after a look at both, is not.");
  const auto in_l1 =
      std::ranges::count(sweep.runs, Norm::l1, [](const ReportedRun& run) { return norm_of(run); });
  if (in_l1 > 0 && in_l1 < std::ssize(sweep.runs))
    out.push_back(
        "Two norms. Some radii are in L1, others in L2: they are different distances, and of "
        "different classifiers. Compare within one norm only.");
  if (continuous)
    out.push_back(
        "Continuous noise. Some certificates hold in real arithmetic only: in floating point "
        "the noise leaks the image. Lattice noise (the default) has no such gap.");
  if (fast)
    out.push_back(
        "Fast mode. Some certificates are for the classifier as one device computes it, not "
        "for the exact one.");
  return out;
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += i + 1 == items.size() ? " and " : ", ";
    out += items[i];
  }
  return out;
}

std::string what_was_done(const SweepResult& sweep) {
  std::map<std::string, std::map<double, std::string>> levels;  // by symbol
  std::set<std::string> models, data;
  std::size_t imported = 0;
  std::uint64_t most = 0;
  for (const ReportedRun& run : sweep.runs) {
    most = std::max<std::uint64_t>(most, run.certificates.size());
    if (run.imported) {
      ++imported;
      continue;
    }
    const CertifySettings& c = run.settings.certify;
    levels[noise_traits(c.noise).symbol].emplace(c.sigma, noise_level(c));
    models.insert(run.settings.model_hash);
    data.insert(report::dataset_title(run.settings.dataset_name));
  }
  const auto counted = [](std::size_t n, const char* what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  const std::size_t own = sweep.runs.size() - imported;
  if (own == 0)
    return fmt::format("{} of randomized smoothing, over up to {} images.",
                       counted(imported, "imported result"), format_count(most));
  std::vector<std::string> at;
  for (const char* symbol : {"σ", "λ"}) {
    std::vector<std::string> values;
    for (const auto& [value, text] : levels[symbol]) values.push_back(text);
    if (!values.empty()) at.push_back(fmt::format("{} = {}", symbol, joined(values)));
  }
  return fmt::format(
      "{} of {} on {}, certified by randomized smoothing at {} over up to {} images{}.",
      counted(own, "run"), counted(models.size(), "model"),
      joined(std::vector<std::string>(data.begin(), data.end())), fmt::join(at, ", and at "),
      format_count(most),
      imported > 0 ? ", and " + counted(imported, "imported result") : std::string());
}

/// The largest ACR of each noise level, within one norm, where one may be named: all runs at it
/// differ in the model alone, cover the same images, and the winner is not a constant classifier.
std::string what_came_out(const std::vector<RunView>& runs) {
  std::map<double, std::vector<const RunView*>> by_sigma;
  for (const RunView& run : runs)
    if (run.settings != nullptr) by_sigma[run.settings->sigma].push_back(&run);
  std::vector<std::string> best;
  for (const auto& [sigma, group] : by_sigma) {
    const RunView* first = nullptr;
    double largest = -1;
    for (const RunView* run : group) {
      if (!report::comparable(*run, *group.front()))
        return fmt::format(
            "Besides model and {} the runs differ in {}, which changes radii without changing a "
            "model, "
            "so none is named the best: compare rows that are equal there.",
            noise_traits(run->settings->noise).symbol, joined(report::differences(group)));
      if (!std::ranges::equal(*run->certificates, *group.front()->certificates, {},
                              &Certificate::image, &Certificate::image))
        return "The runs cover different images, so none is named the best.";
      if (constancy(*run->certificates).nearly_constant()) continue;
      const double acr = summarise(*run->certificates).acr;
      if (acr > largest) first = run, largest = acr;
    }
    if (first == nullptr) continue;
    const Summary s = summarise(*first->certificates);
    best.push_back(
        fmt::format("{} at {} ({}{}\u00a0% correct and certified)", acr_text(s),
                    noise_level_text(*first->settings),
                    group.size() > 1 ? name_in_panel(*first) + ", " : std::string(),
                    format_percent(static_cast<double>(s.correct_certified) /
                                       static_cast<double>(std::max<std::uint64_t>(1, s.images)),
                                   1)));
  }
  if (best.empty()) return "No run is named the best.";
  return fmt::format("The {}average certified radius (ACR, ± a 95 % interval over images) is {}.",
                     runs.size() > by_sigma.size() ? "largest " : "", joined(best));
}

std::string what_to_beware_of(const std::vector<RunView>& runs) {
  if (std::string text = report::constancy_sentence(runs, 1); !text.empty()) return text;
  double alpha = 0;
  for (const RunView& run : runs)
    if (run.settings != nullptr) alpha = std::max(alpha, run.settings->alpha);
  if (alpha == 0 && std::ranges::any_of(runs, report::is_exact))
    return "The certificates are exact: every split was evaluated, and none can be false.";
  return alpha > 0 ? report::alpha_caveat(alpha)
                   : "Imported results are shown as their files tell them.";
}

}  // namespace

std::string sweep_report_html(const SweepResult& sweep, const ReportFiles* files) {
  const std::vector<RunView> runs = report::run_views(sweep);
  const std::vector<NormGroup> groups = norm_groups(sweep);
  std::string came_out;
  for (const NormGroup& group : groups)
    came_out +=
        (came_out.empty() ? "" : " ") +
        (group.alone && group.norm == Norm::l2 ? std::string()
                                               : "In " + report::norm_title(group.norm) + ": ") +
        what_came_out(group.runs());
  report::Page page;
  page.raw(fmt::format("<header><h1>{}</h1>\n<p class=\"byline\">smoothcert {}</p></header>\n",
                       report::xml(sweep.title), report::xml(kVersion)));
  for (const std::string& text : sweep_warnings(sweep)) {
    const std::size_t stop = text.find(". ");
    page.raw(fmt::format("<p class=\"banner\" role=\"note\"><b>{}</b>{}</p>\n",
                         report::xml(text.substr(0, stop + 1)),
                         report::xml(text.substr(stop + 1))));
  }
  page.raw(fmt::format(
      "<section class=\"abstract\" aria-label=\"Abstract\"><p>{}\n{}\n{}</p></section>\n"
      "<nav aria-label=\"Sections\"><a href=\"#curves\">Certified accuracy</a>"
      "<a href=\"#acr\">ACR</a><a href=\"#analysis\">Label by label</a>"
      "<a href=\"#saturation\">Behind the radii</a>{}<a href=\"#settings\">Settings</a>"
      "<a href=\"#references\">References</a></nav>\n",
      report::xml(what_was_done(sweep)), report::xml(came_out),
      report::xml(what_to_beware_of(runs)),
      files != nullptr ? "<a href=\"#files\">Files</a>" : ""));
  page.heading("Certified accuracy", "curves");
  for (const NormGroup& group : groups) {
    for (const Chart& chart : sweep_charts(group)) {
      const bool bands = std::ranges::any_of(
          chart.series, [](const auto& s) { return s.mark == report::Mark::band; });
      page.figure(
          chart,
          (chart.title.empty() ? "Certified accuracy against radius"
                               : "Certified accuracy against radius, " + chart.title) +
              std::string(": the share of all images that are answered correctly with a "
                          "certified radius of at least r.") +
              (bands ? " Bands are pointwise 95 % Clopper–Pearson intervals over images." : "") +
              group.note());
    }
    page.table(group.marked(report::radius_table(group.runs())));
  }
  page.heading("Average certified radius", "acr");
  for (const NormGroup& group : groups) {
    page.table(group.marked(report::acr_table(group.sweep)));
    if (const auto common = report::common_table(group.sweep)) page.table(group.marked(*common));
    const report::Pairs pairs = report::compared_pairs(group.runs());
    if (!pairs.pairs.empty() || !pairs.notes.empty())
      page.table(group.marked(report::pair_table(pairs)));
  }
  page.heading("Label by label", "analysis");
  page.table(report::label_table(runs));
  for (const NormGroup& group : groups)
    page.table(group.marked(report::worst_table(group.runs(), kWorstShown)));
  report::worst_images_figure(page, sweep.worst, sweep.pictured);
  page.heading("What stands behind the radii", "saturation");
  for (const NormGroup& group : groups) {
    page.table(group.marked(report::standing_table(group.runs())));
    if (const auto more = report::more_table(group.runs()); !more.rows.empty()) page.table(more);
    page.details("How far the images of each label are from each class",
                 report::distance_tables(group.runs()));
    for (const Chart& chart : sweep_bound_charts(group))
      page.figure(chart,
                  "The distribution of the bounds p̲ from which the radii follow" +
                      (chart.title.empty() ? std::string() : ", " + chart.title) +
                      ": the share of images whose selected class, right or wrong, has at least "
                      "probability p under noise. Left of p = ½ nothing is certified." +
                      group.note());
  }
  if (const auto disproofs = report::disproof_table(runs); !disproofs.rows.empty()) {
    page.heading("How tight the radii are", "disproofs");
    page.table(disproofs);
    for (const Chart& chart : report::disproof_charts(runs))
      page.figure(
          chart,
          "The robust accuracy of the smoothed classifier over the tested images lies between the "
          "two curves: below, those with a certified radius of at least r; above, those without a "
          "confirmed point nearer than r.");
  }
  if (files != nullptr) report::files_section(page, *files);
  page.heading("Settings", "settings");
  page.raw("<div class=\"settings stack\">");
  page.table(report::runs_table(sweep));
  page.raw("</div>");
  report::references_section(page, false);
  return page.document(sweep.title);
}

std::string sweep_tables(const SweepResult& sweep, TableFormat format) {
  const auto write = format == TableFormat::latex ? report::table_latex : report::table_markdown;
  std::string text;
  for (const NormGroup& group : norm_groups(sweep)) {
    const std::vector<RunView> runs = group.runs();
    if (!text.empty()) text += "\n";
    text += write(group.marked(report::acr_table(group.sweep))) + "\n" +
            write(group.marked(report::radius_table(runs))) + "\n" +
            write(group.marked(report::standing_table(runs)));
    if (const auto more = report::more_table(runs); !more.rows.empty()) text += "\n" + write(more);
    if (const auto common = report::common_table(group.sweep))
      text += "\n" + write(group.marked(*common));
    if (const report::Pairs pairs = report::compared_pairs(runs); !pairs.pairs.empty())
      text += "\n" + write(group.marked(report::pair_table(pairs)));
  }
  return text;
}

std::string sweep_json(const SweepResult& sweep) {
  nlohmann::json runs = nlohmann::json::array(), pairs = nlohmann::json::array();
  const std::vector<RunView> views = report::run_views(sweep);
  for (const RunView& run : views)
    runs.push_back(
        {{"name", run.name},
         {"imported", run.settings == nullptr},
         {"images", run.certificates->size()},
         {"norm", run.settings == nullptr ? "unknown" : to_name(norm_of(run))},
         {"kind",
          run.settings == nullptr ? "unknown" : to_name(noise_traits(run.settings->noise).kind)},
         {"analysis", analysis_json(*run.certificates, run.settings, run.shape)}});
  for (const report::Pair& p : report::compared_pairs(views).pairs)
    pairs.push_back(
        paired_json(p.first, p.second, p.comparison, p.mcnemar_adjusted, p.permutation_adjusted));
  return nlohmann::json{{"runs", std::move(runs)}, {"pairs", std::move(pairs)}}.dump(2);
}

ReportFiles write_sweep_report(const SweepResult& sweep, const std::filesystem::path& folder) {
  ReportFiles files;
  files.html = folder / "report.html";
  const std::vector<RunView> runs = report::run_views(sweep);
  report::FigureWriter figures(folder / "figures");
  for (const NormGroup& group : norm_groups(sweep)) {
    for (const Chart& chart : sweep_charts(group)) figures.chart(chart);
    for (const Chart& chart : sweep_bound_charts(group)) figures.chart(chart);
  }
  for (const Chart& chart : report::disproof_charts(runs)) figures.chart(chart);
  files.figures = figures.files();
  files.note = figures.note();
  files.data = report::write_tables(runs, folder / "tables");
  files.data.insert(files.data.end(), sweep.stores.begin(), sweep.stores.end());
  write_file_atomically(files.html, sweep_report_html(sweep, &files));
  return files;
}

}  // namespace smoothcert
