// What a report rests on and cites, and the files that lie beside it.
#pragma once

#include <filesystem>
#include <vector>

#include "report/page.hpp"
#include "smoothcert/report.hpp"

namespace smoothcert::report {

/// The study whose comparison this program rebuilds, in one sentence with its address.
std::string study_citation();

/// The numbered literature; `study` first where the report compares with it.
void references_section(Page& page, bool study);

/// Links to the figures, tables and stores, relative to the page.
void files_section(Page& page, const ReportFiles& files);

/// `file` as seen from `folder`, percent-encoded: "../a%20b.sqlite".
std::string relative_link(const std::filesystem::path& file, const std::filesystem::path& folder);

}  // namespace smoothcert::report
