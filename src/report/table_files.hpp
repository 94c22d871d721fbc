// The folder tables/ of a report: tidy CSV files (one row one observation) that pandas, R and a
// spreadsheet read as they are, and one TSV of the field a run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/run_view.hpp"

namespace smoothcert::report {

/// Fields joined by commas, quoted where RFC 4180 asks for it, with a line feed.
std::string csv_line(const std::vector<std::string>& fields);

std::string summary_csv(const std::vector<RunView>& runs);
std::string accuracy_csv(const std::vector<RunView>& runs);  ///< certified accuracy at round radii
std::string label_csv(const std::vector<RunView>& runs);
/// Median distances of each label's images to each class (has_distances() runs alone).
std::string distance_csv(const std::vector<RunView>& runs);
std::string bound_csv(const std::vector<RunView>& runs);  ///< one line an image: p̲_A
std::string pair_csv(const std::vector<RunView>& runs);

/// Writes all of them into `folder`; gives the files.
std::vector<std::filesystem::path> write_tables(const std::vector<RunView>& runs,
                                                const std::filesystem::path& folder);

}  // namespace smoothcert::report
