// The folder tables/ of a report: tidy CSV files (one row one observation) that pandas, R and a
// spreadsheet read as they are, and one TSV of the field a run.
#include "report/table_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "report/analysis_tables.hpp"
#include "report/escape.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/more_certificates.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/soundness.hpp"
#include "util/atomic_file.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

std::string text(double value) { return format_shortest(value); }
std::string text(std::uint64_t value) { return fmt::format("{}", value); }

double share(std::uint64_t k, std::uint64_t n) {
  return n == 0 ? 0.0 : static_cast<double>(k) / static_cast<double>(n);
}

/// A run's name as a file name: "gauss, σ = 0.5" → "gauss-sigma-0-5".
std::string file_name(const std::string& run) {
  std::string name = run;
  for (const auto& [sign, word] :
       {std::pair{"σ", "sigma"}, {"λ", "lambda"}, {"α", "alpha"}, {"n₀", "n0"}})
    for (std::size_t at = 0; (at = name.find(sign, at)) != std::string::npos;)
      name.replace(at, std::string_view(sign).size(), word);
  return slug(name);
}

}  // namespace

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) {
    if (&field != &fields.front()) line += ',';
    if (field.find_first_of(",\"\r\n") == std::string::npos) {
      line += field;
      continue;
    }
    line += '"';
    for (const char c : field) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\n";
}

std::string summary_csv(const std::vector<RunView>& runs) {
  std::string csv =
      csv_line({"run", "images", "correct_certified", "wrong", "abstained", "avg_radius_certified",
                "avg_radius_correct", "acr", "acr_half_width_95", "clean_accuracy",
                "ceiling_radius", "images_at_ceiling", "median_p_lower", "most_certified_class",
                "share_of_certified", "guarantee", "norm", "kind"});
  for (const RunView& run : runs) {
    const Summary s = summarise(*run.certificates);
    const Constancy c = constancy(*run.certificates);
    std::vector<std::string> row = {run.name,
                                    text(s.images),
                                    text(s.correct_certified),
                                    text(s.wrong),
                                    text(s.abstained),
                                    text(s.avg_radius_certified),
                                    text(s.avg_radius_correct),
                                    text(s.acr),
                                    text(kStandardErrors95 * s.acr_standard_error),
                                    run.clean_accuracy < 0 ? "" : text(run.clean_accuracy)};
    if (run.settings != nullptr) {
      const Saturation at = saturation(*run.certificates, *run.settings, run.shape);
      row.insert(row.end(),
                 {text(at.ceiling), text(at.images), text(bound_quantile(*run.certificates, 0.5))});
    } else {
      row.insert(row.end(), 3, "");
    }
    row.push_back(c.favourite < 0 ? "" : fmt::format("{}", c.favourite));
    row.push_back(c.favourite < 0 ? "" : text(c.share));
    row.emplace_back(run.settings == nullptr
                         ? "unknown"
                         : to_name(soundness_of(run.settings->noise, run.settings->mode)));
    row.emplace_back(run.settings == nullptr ? "unknown" : to_name(norm_of(run)));
    row.emplace_back(run.settings == nullptr ? "unknown"
                                             : to_name(noise_traits(run.settings->noise).kind));
    csv += csv_line(row);
  }
  return csv;
}

std::string accuracy_csv(const std::vector<RunView>& runs) {
  std::string csv = csv_line(
      {"run", "radius", "images", "certified", "certified_accuracy", "low_95", "high_95", "norm"});
  for (const RunView& run : runs) {
    for (const double r : table_radii(runs)) {
      std::uint64_t reached = 0;
      for (const Certificate& c : *run.certificates) reached += c.correct() && c.radius >= r;
      const auto n = static_cast<std::uint64_t>(run.certificates->size());
      if (n == 0) continue;
      const Interval interval = share_interval(reached, n, 0.05);
      csv += csv_line({run.name, text(r), text(n), text(reached), text(share(reached, n)),
                       text(interval.low), text(interval.high),
                       run.settings == nullptr ? "unknown" : to_name(norm_of(run))});
    }
  }
  return csv;
}

std::string label_csv(const std::vector<RunView>& runs) {
  std::string csv = csv_line({"run", "label", "images", "correct_certified", "wrong", "abstained",
                              "share_correct_certified", "low_95", "high_95", "acr"});
  for (const RunView& run : runs)
    for (const LabelSummary& s : summarise_by_label(*run.certificates, 0))
      csv +=
          csv_line({run.name, fmt::format("{}", s.label), text(s.images), text(s.correct_certified),
                    text(s.wrong), text(s.abstained), text(share(s.reached, s.images)),
                    text(s.interval.low), text(s.interval.high), text(s.acr)});
  return csv;
}

std::string distance_csv(const std::vector<RunView>& runs) {
  std::string csv = csv_line({"run", "label", "class", "images", "median_distance"});
  for (const RunView& run : runs) {
    if (!has_distances(run)) continue;
    for (const LabelDistances& of :
         distances_by_label(*run.certificates, bound_settings(*run.settings, run.shape)))
      for (std::size_t c = 0; c < of.median.size(); ++c)
        if (c != of.label)
          csv += csv_line({run.name, fmt::format("{}", of.label), fmt::format("{}", c),
                           text(of.images), text(of.median[c])});
  }
  return csv;
}

std::string bound_csv(const std::vector<RunView>& runs) {
  std::string csv = csv_line({"run", "image", "label", "selected", "p_lower"});
  for (const RunView& run : runs) {
    if (run.settings == nullptr) continue;  // a file of the field has no bounds
    for (const Certificate& c : *run.certificates)
      csv += csv_line({run.name, fmt::format("{}", c.image), fmt::format("{}", c.label),
                       fmt::format("{}", c.selected), text(c.p_lower)});
  }
  return csv;
}

std::string pair_csv(const std::vector<RunView>& runs) {
  std::string csv =
      csv_line({"first", "second", "images", "acr_difference", "acr_difference_half_width_95",
                "permutation_p", "permutation_p_holm", "radius", "both", "only_first",
                "only_second", "neither", "mcnemar_p", "mcnemar_p_holm"});
  for (const Pair& p : compared_pairs(runs).pairs) {
    const PairedComparison& c = p.comparison;
    csv += csv_line({p.first, p.second, text(c.images), text(c.acr_difference),
                     text(c.acr_half_width), text(c.permutation_p), text(p.permutation_adjusted),
                     text(c.radius), text(c.both), text(c.only_first), text(c.only_second),
                     text(c.neither), text(c.mcnemar_p), text(p.mcnemar_adjusted)});
  }
  return csv;
}

std::vector<std::filesystem::path> write_tables(const std::vector<RunView>& runs,
                                                const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error("cannot create the folder " + folder.string() + ": " + error.message());
  std::vector<std::filesystem::path> files;
  const auto write = [&](const std::string& name, const std::string& content) {
    files.push_back(folder / name);
    write_file_atomically(files.back(), std::string_view(content));
  };
  write("summary.csv", summary_csv(runs));
  write("certified-accuracy.csv", accuracy_csv(runs));
  write("by-label.csv", label_csv(runs));
  write("bounds.csv", bound_csv(runs));
  if (std::ranges::any_of(runs, has_distances)) write("class-distances.csv", distance_csv(runs));
  write("pairs.csv", pair_csv(runs));
  std::set<std::string> taken;
  for (const RunView& run : runs) {
    const std::string wanted = file_name(run.name);
    std::string name = wanted;
    for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}-{}", wanted, i);
    write(name + ".tsv", certificates_tsv(*run.certificates, false));
  }
  return files;
}

}  // namespace smoothcert::report
