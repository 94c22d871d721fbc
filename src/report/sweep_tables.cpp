// The tables that only a sweep has: ACR, and everything needed to repeat each run.
#include "report/sweep_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "report/analysis_tables.hpp"
#include "report/study_tables.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/result_files.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

double share(std::uint64_t k, std::uint64_t n) {
  return n == 0 ? -1.0 : static_cast<double>(k) / static_cast<double>(n);
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
  for (const double alpha : alphas)
    notes.push_back(alpha > 0 ? alpha_caveat(alpha)
                              : "Exact certificates are certain: nothing was sampled.");
  if (imported)
    notes.push_back(
        "Imported results are shown as their files tell them: their settings are not known here, "
        "and radii that were rounded to three digits may be rounded up.");
  return notes;
}

}  // namespace

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
                   {"ACR"},
                   {"guarantee", false}};
  for (const ReportedRun& run : sweep.runs) {
    const Summary s =
        run.imported ? summarise_imported(run.certificates) : summarise(run.certificates);
    table.rows.push_back(
        {run.name, format_count(s.images), format_percent(share(s.correct_certified, s.images), 1),
         format_percent(share(s.wrong, s.images), 1),
         format_percent(share(s.abstained, s.images), 1),
         s.correct_certified > 0 ? format_down(s.avg_radius_correct, 3) : "–", acr_text(s),
         run.imported ? std::string("not known") : guarantee_text(run.settings)});
  }
  table.notes = caveats(sweep);
  if (std::string text = constancy_sentence(run_views(sweep)); !text.empty())
    table.notes.push_back(std::move(text));
  return table;
}

bool same_images(const SweepResult& sweep) {
  return std::ranges::all_of(sweep.runs, [&](const ReportedRun& run) {
    return std::ranges::equal(run.certificates, sweep.runs.front().certificates, {},
                              &Certificate::image, &Certificate::image);
  });
}

std::optional<Table> common_table(const SweepResult& sweep) {
  std::set<std::string> data;  // image numbers of two data sets have nothing in common
  std::vector<std::span<const Certificate>> spans;
  for (const ReportedRun& run : sweep.runs) {
    if (!run.imported) data.insert(run.settings.dataset_hash);
    spans.emplace_back(run.certificates);
  }
  if (same_images(sweep) || data.size() > 1) return std::nullopt;
  const auto common = common_images(spans);
  Table table;
  table.label = "common-images";
  table.columns = {{"run", false}, {"its images"}, {"correct and certified,\u00a0%"}, {"ACR"}};
  if (common.empty()) {
    table.caption =
        "The runs are over different images, and no image is in all of them: their figures cannot "
        "be compared.";
    for (const ReportedRun& run : sweep.runs)
      table.rows.push_back({run.name, format_count(run.certificates.size()), "–", "–"});
    return table;
  }
  table.caption = fmt::format(
      "The same over the {} that all runs hold. The runs are over different images, so that "
      "the other tables and the plots compare images as much as models; this one does not.",
      counted(common.size(), "image"));
  const auto radii = table_radii(run_views(sweep));
  for (std::size_t i = 1; i < radii.size(); ++i)
    table.columns.push_back({"r\u00a0=\u00a0" + format_shortest(radii[i])});
  std::map<std::uint32_t, std::set<int>> labels;
  for (const ReportedRun& run : sweep.runs) {
    const auto shared = restricted_to(run.certificates, common);
    const Summary s = run.imported ? summarise_imported(shared) : summarise(shared);
    std::vector<std::string> row = {run.name, format_count(run.certificates.size()),
                                    format_percent(share(s.correct_certified, s.images), 1),
                                    acr_text(s)};
    for (std::size_t i = 1; i < radii.size(); ++i) {
      const double accuracy = certified_accuracy(shared, radii[i]);
      row.push_back(accuracy > 0 ? format_percent(accuracy, 1) : "0");
    }
    table.rows.push_back(std::move(row));
    for (const Certificate& c : shared) labels[c.image].insert(static_cast<int>(c.label));
  }
  table.notes = {
      "Images are matched by their number in the test set; certified accuracy is in %, ± a 95 % "
      "interval over images."};
  const auto disputed =
      std::ranges::count_if(labels, [](const auto& entry) { return entry.second.size() > 1; });
  if (disputed > 0)
    table.notes.push_back(
        fmt::format("{} of them have different labels in different runs: are these the same data?",
                    format_count(static_cast<std::uint64_t>(disputed))));
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
    const bool exact = noise_traits(c.noise).kind == CertificateKind::exact;
    table.rows.push_back(
        {run.name,
         fmt::format(
             "model {} (SHA-256 {}{}); {} {} (SHA-256 {}); {}, {}; seed {}; {}{}; {}; {}; "
             "smoothcert {}",
             s.model_name, s.model_hash.substr(0, 16), s.model_hash.size() > 16 ? "…" : "",
             dataset_title(s.dataset_name), s.dataset_split, s.dataset_hash.substr(0, 16) + "…",
             noise_level_text(c),
             exact ? std::string("all splits evaluated")
                   : fmt::format("n₀ = {}, n = {}, α = {}, p_B: {}", format_count(c.n0),
                                 format_count(c.n), format_shortest(c.alpha), p_b_text(c.p_b)),
             c.seed, noise_traits(c.noise).words,
             exact     ? ""
             : c.clamp ? ", clamped"
                       : ", not clamped",
             s.precision, s.arithmetic, s.program_version) +
             (s.pixels.empty() ? "" : "; pixels " + s.pixels) +
             (c.sequential ? "; " + stopping_text(c) + ", n the most" : std::string()) + "; " +
             guarantee_text(s)});
  }
  return table;
}

}  // namespace smoothcert::report
