#include "report/sweep_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "report/study_tables.hpp"
#include "report/svg_chart.hpp"
#include "smoothcert/noise.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

constexpr double kZ95 = 1.959963984540054;
constexpr std::size_t kMostRadii = 8;  // beside radius 0

double share(std::uint64_t k, std::uint64_t n) {
  return n == 0 ? -1.0 : static_cast<double>(k) / static_cast<double>(n);
}

std::string setting(const ReportedRun& run, std::string text) {
  return run.imported ? "–" : std::move(text);
}

/// One sentence for each α of our runs.
std::vector<std::string> caveats(const SweepResult& sweep) {
  std::set<double, std::greater<>> alphas;
  bool imported = false;
  for (const ReportedRun& run : sweep.runs) {
    if (run.imported)
      imported = true;
    else
      alphas.insert(run.settings.certify.alpha);
  }
  std::vector<std::string> notes;
  for (const double alpha : alphas) notes.push_back(alpha_caveat(alpha));
  if (imported)
    notes.push_back(
        "Imported results are shown as their files tell them: their settings are not known here, "
        "and "
        "radii that were rounded to three digits may be rounded up.");
  return notes;
}

}  // namespace

Saturation saturation(const ReportedRun& run) {
  Saturation result;
  if (run.imported) return result;
  for (const Certificate& c : run.certificates) {
    const auto& counts = c.estimation.counts;
    const std::uint64_t n = std::accumulate(counts.begin(), counts.end(), c.estimation.invalid);
    if (c.prediction < 0 || c.selected < 0 || counts[static_cast<std::size_t>(c.selected)] != n)
      continue;
    ++result.images;
    result.ceiling = c.radius;
  }
  if (result.images > 0) return result;
  result.ceiling = ceiling_radius(run.settings.certify, run.settings.shape);
  return result;
}

Table acr_table(const SweepResult& sweep) {
  Table table;
  table.caption =
      "Average certified radius (ACR: the radii of correct images, summed, over all images; ± is a "
      "95 % interval over images) and what became of the images.";
  table.label = "acr";
  table.columns = {{"run", false},
                   {"images"},
                   {"correct and certified,\u00a0%"},
                   {"wrong,\u00a0%"},
                   {"abstained,\u00a0%"},
                   {"mean radius of correct"},
                   {"ACR"}};
  for (const ReportedRun& run : sweep.runs) {
    const Summary s = summarise(run.certificates);
    table.rows.push_back(
        {run.name, format_count(s.images), format_percent(share(s.correct_certified, s.images), 1),
         format_percent(share(s.wrong, s.images), 1),
         format_percent(share(s.abstained, s.images), 1),
         s.correct_certified > 0 ? format_down(s.avg_radius_correct, 3) : "–",
         format_down(s.acr, 4) + " ± " + format_fixed(kZ95 * s.acr_standard_error, 4)});
  }
  table.notes = caveats(sweep);
  return table;
}

std::vector<double> table_radii(const SweepResult& sweep) {
  double largest = 0;
  for (const ReportedRun& run : sweep.runs)
    for (const Certificate& c : run.certificates)
      if (c.correct()) largest = std::max(largest, c.radius);
  std::vector<double> radii = {0};
  if (largest <= 0) return radii;
  double step = 0.25;  // the literature's, where it fits
  while (largest / step > static_cast<double>(kMostRadii)) step *= 2;
  while (largest < 2 * step) step /= 2;
  for (int i = 1; i * step <= largest; ++i) radii.push_back(i * step);
  return radii;
}

Table radius_table(const SweepResult& sweep) {
  Table table;
  table.caption =
      "Certified accuracy in %: the share of all images that are correct with a radius of at least "
      "r.";
  table.label = "certified-accuracy";
  table.columns = {{"run", false}};
  const auto radii = table_radii(sweep);
  for (const double r : radii) table.columns.push_back({"r\u00a0=\u00a0" + format_shortest(r)});
  for (const ReportedRun& run : sweep.runs) {
    std::vector<std::string> row = {run.name};
    for (const double r : radii) {
      const double accuracy = certified_accuracy(run.certificates, r);
      row.push_back(accuracy > 0 ? format_percent(accuracy, 1) : "0");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table saturation_table(const SweepResult& sweep) {
  Table table;
  table.caption = "Abstention, and saturation: images whose every vote is for one class.";
  table.label = "saturation";
  table.columns = {{"run", false},
                   {"abstained"},
                   {"abstained,\u00a0%"},
                   {"at the ceiling"},
                   {"at the ceiling,\u00a0%"},
                   {"ceiling radius"}};
  bool saturated = false;
  for (const ReportedRun& run : sweep.runs) {
    const Summary s = summarise(run.certificates);
    const Saturation at = saturation(run);
    saturated |= share(at.images, s.images) > 0.2;
    table.rows.push_back({run.name, format_count(s.abstained),
                          format_percent(share(s.abstained, s.images), 1),
                          setting(run, format_count(at.images)),
                          setting(run, format_percent(share(at.images, s.images), 1)),
                          setting(run, format_down(at.ceiling, 4))});
  }
  table.notes = {
      "The ceiling is the radius that n votes out of n give: with these n and α nothing "
      "larger can be certified, however robust the model."};
  if (saturated)
    table.notes.push_back("Where many images reach it, ACR measures n as much as the model.");
  return table;
}

Table runs_table(const SweepResult& sweep) {
  Table table;
  table.caption = "Everything needed to repeat this.";
  table.label = "runs";
  table.columns = {{"run", false}, {"settings", false}};
  if (!sweep.command.empty()) table.rows.push_back({"this report", sweep.command});
  for (const ReportedRun& run : sweep.runs) {
    if (run.imported) {
      table.rows.push_back({run.name, "imported from " + run.source});
      continue;
    }
    const RunSettings& s = run.settings;
    const CertifySettings& c = s.certify;
    table.rows.push_back(
        {run.name,
         fmt::format(
             "model {} (SHA-256 {}{}); {} {} (SHA-256 {}); σ = {}, n₀ = {}, n = {}, α = {}, "
             "p_B: {}; seed {}; {}, {}; {}; {}; smoothcert {}",
             s.model_name, s.model_hash.substr(0, 16), s.model_hash.size() > 16 ? "…" : "",
             dataset_title(s.dataset_name), s.dataset_split, s.dataset_hash.substr(0, 16) + "…",
             format_shortest(c.sigma), format_count(c.n0), format_count(c.n),
             format_shortest(c.alpha), p_b_text(c.p_b), c.seed,
             c.noise == NoiseLaw::lattice ? "lattice noise" : "continuous noise",
             c.clamp ? "clamped" : "not clamped", s.precision, s.arithmetic, s.program_version)});
  }
  return table;
}

}  // namespace smoothcert::report
