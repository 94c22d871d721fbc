// What people look at: the report of a comparison or a sweep as one self-contained HTML file, its
// figures as SVG and PNG, its tables for papers.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "smoothcert/study.hpp"

namespace smoothcert {

/// What lies beside a report, for its links.
struct ReportFiles {
  std::filesystem::path html;
  std::vector<std::filesystem::path> figures;  ///< SVG, PNG, PDF
  std::vector<std::filesystem::path> data;     ///< CSV, TSV, JSON, SQLite
  std::string note;  ///< one line when something could not be made (charts as PNG), else empty
};

/// The report as one HTML document: styles, script, charts and images inline; nothing is fetched.
/// Parts the study does not have are left out; a study without certificates still gives a report.
/// Links to `files` where given.
std::string report_html(const StudyResult& study, const ReportFiles* files = nullptr);

enum class TableFormat { markdown, latex };

/// "markdown" or "latex". Throws UsageError, suggesting the nearest.
TableFormat table_format_from_name(const std::string& name);

/// The accuracy table and the comparison table, for a paper.
std::string report_tables(const StudyResult& study, TableFormat format);

/// Writes report.html, figures/ (SVG, PNG, PDF) and tables/ (CSV, TSV) into `folder`, each file
/// atomically. Throws Error naming the file that could not be written.
ReportFiles write_report(const StudyResult& study, const std::filesystem::path& folder);

/// One run of a store, or a peer's imported result file.
struct ReportedRun {
  std::string name;       ///< as shown, unique
  std::string source;     ///< the store or file it came from
  bool imported = false;  ///< from a TSV: settings and counts are unknown
  RunSettings settings;   ///< of our own runs
  std::vector<Certificate> certificates;
  std::vector<Disproof> disproofs;  ///< tests of images of these, by image
  bool only_correct = false;        ///< over images that the model answers right without noise
};

struct SweepResult {
  std::string title;
  std::string command;  ///< that makes this report again
  std::vector<ReportedRun> runs;
  std::vector<std::filesystem::path> stores;  ///< that the runs came from
  std::vector<std::string> left_out;          ///< lines about peers' files without images
  std::vector<WorstImages> worst;             ///< pictures, of the runs that add_pictures() knew
  ImageShape pictured;                        ///< of these
};

/// Every run of a store that has certificates, and what was imported into it, named by what tells
/// them apart ("gaussian, σ = 0.5"). Throws Error where there is nothing to show.
SweepResult sweep_of_store(const std::filesystem::path& file,
                           ResultsStore::FaultHandler on_fault = {});
/// Adds a peer's file; one without images goes to `left_out`. Throws Error as import_tsv() does.
void add_peer(SweepResult& sweep, const std::filesystem::path& file, const std::string& name = "");

/// Pictures of the images that runs over `test` certify wrongly, up to ten a run. Throws UsageError
/// where no run is over these images.
void add_pictures(SweepResult& sweep, const Dataset& test);

/// All runs in one report: certified accuracy against radius, ACR, abstention and saturation.
std::string sweep_report_html(const SweepResult& sweep, const ReportFiles* files = nullptr);
/// What the tables say, run by run and pair by pair, as a JSON object (docs/json.md).
std::string sweep_json(const SweepResult& sweep);
/// The ACR table and certified accuracy at round radii, for a paper.
std::string sweep_tables(const SweepResult& sweep, TableFormat format);
/// Writes report.html, figures/ and tables/ into `folder`, which is created where missing.
ReportFiles write_sweep_report(const SweepResult& sweep, const std::filesystem::path& folder);

}  // namespace smoothcert
