// The report of a sweep: every run of a store, and peers beside them.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "report/escape.hpp"
#include "report/figure_files.hpp"
#include "report/figures.hpp"
#include "report/page.hpp"
#include "report/study_tables.hpp"
#include "report/sweep_tables.hpp"
#include "smoothcert/version.hpp"
#include "smoothcert/votes.hpp"
#include "util/atomic_file.hpp"
#include "util/format_number.hpp"

namespace smoothcert {
namespace {

using report::Chart;
using report::Mark;
using report::Table;

constexpr std::size_t kMostBands = 5;  // more hide each other

Chart accuracy_chart(const std::vector<const ReportedRun*>& runs, const std::vector<int>& styles,
                     const std::string& name, const std::string& title) {
  Chart chart;
  chart.name = name;
  chart.title = title;
  chart.x.label = "L2 radius r, in units of [0, 1] pixels";
  chart.y = {.label = "certified accuracy", .low = 0, .high = 1, .percent = true, .categories = {}};
  chart.description = "Certified accuracy against radius.";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    report::Curve curve = report::certified_accuracy_curve(runs[i]->certificates);
    chart.description +=
        fmt::format(" {}: {} % at radius 0, largest radius {}.", runs[i]->name,
                    format_percent(curve.accuracy.front(), 1), format_down(curve.radius.back(), 3));
    if (runs.size() <= kMostBands)
      chart.series.push_back({.label = {},
                              .style = styles[i],
                              .mark = Mark::band,
                              .x = curve.radius,
                              .y = std::move(curve.low),
                              .y2 = std::move(curve.high),
                              .point_text = {},
                              .highlight = {}});
    chart.series.push_back({.label = runs[i]->name,
                            .style = styles[i],
                            .mark = Mark::line,
                            .x = std::move(curve.radius),
                            .y = std::move(curve.accuracy),
                            .y2 = {},
                            .point_text = {},
                            .highlight = {}});
  }
  return chart;
}

/// All runs in one plot; and, where that is crowded, one plot a σ.
std::vector<Chart> sweep_charts(const SweepResult& sweep) {
  std::vector<const ReportedRun*> all;
  std::vector<int> styles;
  std::map<double, std::vector<const ReportedRun*>> by_sigma;
  for (const ReportedRun& run : sweep.runs) {
    styles.push_back(static_cast<int>(all.size()) % report::kStyles);
    all.push_back(&run);
    if (!run.imported) by_sigma[run.settings.certify.sigma].push_back(&run);
  }
  std::vector<Chart> charts = {accuracy_chart(all, styles, "certified-accuracy", "")};
  if (all.size() <= kMostBands || by_sigma.size() < 2) return charts;
  for (const auto& [sigma, runs] : by_sigma) {
    std::vector<int> own;
    for (std::size_t i = 0; i < runs.size(); ++i)
      own.push_back(static_cast<int>(i) % report::kStyles);
    const std::string text = format_shortest(sigma);
    charts.push_back(
        accuracy_chart(runs, own, "certified-accuracy-sigma-" + report::slug(text), "σ = " + text));
  }
  return charts;
}

std::vector<std::string> sweep_warnings(const SweepResult& sweep) {
  std::vector<std::string> out;
  std::uint64_t most = 0, least = UINT64_MAX;
  bool continuous = false, fast = false;
  for (const ReportedRun& run : sweep.runs) {
    most = std::max<std::uint64_t>(most, run.certificates.size());
    least = std::min<std::uint64_t>(least, run.certificates.size());
    if (run.imported) continue;
    continuous |= run.settings.certify.noise == NoiseLaw::gaussian;
    fast |= run.settings.certify.mode == Mode::fast;
  }
  if (least < most)
    out.push_back(
        fmt::format("Not the same images. The runs are over {} to {} images, so their figures "
                    "cannot be compared as they stand.",
                    format_count(least), format_count(most)));
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

std::string abstract(const SweepResult& sweep) {
  const ReportedRun* best = nullptr;
  Summary summary;
  std::size_t imported = 0;
  for (const ReportedRun& run : sweep.runs) {
    imported += run.imported ? 1 : 0;
    const Summary s = summarise(run.certificates);
    if (best != nullptr && s.acr <= summary.acr) continue;
    best = &run;
    summary = s;
  }
  const auto counted = [](std::size_t n, const char* what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  std::string text = counted(sweep.runs.size() - imported, "run");
  if (imported > 0) text += " and " + counted(imported, "imported result");
  if (best == nullptr) return text + ".";
  return text +
         fmt::format(
             ". The largest average certified radius is {}: {}, which is right with a "
             "certificate for {} of {} images ({} %).",
             format_down(summary.acr, 4), best->name, format_count(summary.correct_certified),
             format_count(summary.images),
             format_percent(static_cast<double>(summary.correct_certified) /
                                static_cast<double>(std::max<std::uint64_t>(1, summary.images)),
                            1));
}

}  // namespace

std::string sweep_report_html(const SweepResult& sweep) {
  report::Page page;
  page.raw(fmt::format("<header><h1>{}</h1>\n<p class=\"byline\">smoothcert {}</p></header>\n",
                       report::xml(sweep.title), report::xml(kVersion)));
  for (const std::string& text : sweep_warnings(sweep)) {
    const std::size_t stop = text.find(". ");
    page.raw(fmt::format("<p class=\"banner\" role=\"note\"><b>{}</b>{}</p>\n",
                         report::xml(text.substr(0, stop + 1)),
                         report::xml(text.substr(stop + 1))));
  }
  page.raw("<section class=\"abstract\" aria-label=\"Abstract\"><p>" +
           report::xml(abstract(sweep)) +
           "</p></section>\n<nav aria-label=\"Sections\"><a href=\"#curves\">Certified accuracy</a>"
           "<a href=\"#acr\">ACR</a><a href=\"#saturation\">Abstention and saturation</a>"
           "<a href=\"#settings\">Settings</a></nav>\n");
  const auto charts = sweep_charts(sweep);
  page.heading("Certified accuracy", "curves");
  // The legend of many runs must not eat the plot, least of all on a phone.
  const int more = static_cast<int>(std::min<std::size_t>(sweep.runs.size(), 40));
  page.figure_html(
      fmt::format("<div class=\"wide\">{}</div><div class=\"narrow\">{}</div>",
                  report::render_chart(charts.front(), {830, 430 + 5 * more}),
                  report::render_chart(charts.front(), {350, 330 + 16 * more})),
      std::string("Certified accuracy against radius: the share of all images that are answered "
                  "correctly with a certified radius of at least r.") +
          (sweep.runs.size() <= kMostBands
               ? " Bands are pointwise 95 % Clopper–Pearson intervals over images."
               : ""));
  if (charts.size() > 1)
    page.figure_grid({charts.begin() + 1, charts.end()}, {400, 330},
                     "The same, one plot for each noise level.");
  page.table(report::radius_table(sweep));
  page.heading("Average certified radius", "acr");
  page.table(report::acr_table(sweep));
  page.heading("Abstention and saturation", "saturation");
  page.table(report::saturation_table(sweep));
  page.heading("Settings", "settings");
  page.raw("<div class=\"settings stack\">");
  page.table(report::runs_table(sweep));
  page.raw("</div>");
  return page.document(sweep.title);
}

std::string sweep_tables(const SweepResult& sweep, TableFormat format) {
  const auto write = format == TableFormat::latex ? report::table_latex : report::table_markdown;
  return write(report::acr_table(sweep)) + "\n" + write(report::radius_table(sweep)) + "\n" +
         write(report::saturation_table(sweep));
}

ReportFiles write_sweep_report(const SweepResult& sweep, const std::filesystem::path& folder) {
  ReportFiles files;
  files.html = folder / "report.html";
  report::FigureWriter figures(folder / "figures");
  for (const Chart& chart : sweep_charts(sweep)) figures.chart(chart);
  files.figures = figures.files();
  files.note = figures.note();
  write_file_atomically(files.html, sweep_report_html(sweep));
  return files;
}

}  // namespace smoothcert
