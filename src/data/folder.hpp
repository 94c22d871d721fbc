// Recognises the data set files in a folder and reads them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "smoothcert/data_source.hpp"

namespace smoothcert {

/// Reads data set `name` ("" = whatever the folder holds) from `dir`, or from the folder in `dir`
/// that is named after it. Nothing where the files are not there; Error where they are and are
/// damaged. Fills Dataset::origin, not Dataset::name.
std::optional<DataPair> read_data_folder(const std::filesystem::path& dir, const std::string& name,
                                         const DataRequest& request);

/// What read_data_folder() looks for, for error lines.
std::string files_looked_for(const std::string& name, const DataRequest& request);

}  // namespace smoothcert
