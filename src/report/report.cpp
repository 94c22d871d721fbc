// What people look at: the report of a comparison or a sweep as one self-contained HTML file, its
// figures as SVG and PNG, its tables for papers.
#include "smoothcert/report.hpp"

#include <fmt/format.h>

#include "report/escape.hpp"
#include "report/figure_files.hpp"
#include "report/figures.hpp"
#include "report/references.hpp"
#include "report/run_view.hpp"
#include "report/sections.hpp"
#include "report/study_tables.hpp"
#include "report/table_files.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {

std::string report_html(const StudyResult& study, const ReportFiles* files) {
  report::Page page;
  report::title_section(page, study, files != nullptr);
  report::certification_section(page, study);
  report::noise_section(page, study);
  report::answers_section(page, study);
  report::analysis_section(page, study);
  report::attack_section(page, study);
  report::published_section(page, study);
  report::training_section(page, study);
  if (files != nullptr) report::files_section(page, *files);
  report::settings_section(page, study);
  report::references_section(page, study.dataset_name == "mnist" && !study.stand_in_data);
  return page.document(study.title);
}

TableFormat table_format_from_name(const std::string& name) {
  if (name == "markdown") return TableFormat::markdown;
  if (name == "latex") return TableFormat::latex;
  throw UsageError(unknown_name_message("table format", name, {"markdown", "latex"}));
}

std::string report_tables(const StudyResult& study, TableFormat format) {
  const auto write = format == TableFormat::latex ? report::table_latex : report::table_markdown;
  return write(report::accuracy_table(study)) + "\n" + write(report::comparison_table(study));
}

ReportFiles write_report(const StudyResult& study, const std::filesystem::path& folder) {
  ReportFiles files;
  files.html = folder / "report.html";
  report::FigureWriter figures(folder / "figures");
  for (const report::Chart& chart : report::all_charts(study)) figures.chart(chart);
  figures.study_images(study);
  files.figures = figures.files();
  files.note = figures.note();
  files.data = report::write_tables(report::run_views(study), folder / "tables");
  std::error_code ignored;
  for (const char* name : {"summary.json", "results.sqlite"})  // that compare put there
    if (std::filesystem::exists(folder / name, ignored)) files.data.push_back(folder / name);
  write_file_atomically(files.html, report_html(study, &files));
  return files;
}

}  // namespace smoothcert
