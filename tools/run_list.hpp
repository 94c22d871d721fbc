// The runs of a store, for people and for scripts.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "smoothcert/results.hpp"

namespace smoothcert::cli {

/// One line a run: settings, images, ACR.
std::string run_table(const ResultsStore& store);
/// An array with one object a run.
nlohmann::json run_array(const ResultsStore& store);

/// The store that `text` names: a file, or a folder with results.sqlite or else sweep.sqlite.
std::filesystem::path store_file(const std::string& text);

}  // namespace smoothcert::cli
