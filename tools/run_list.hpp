// The runs of a store, for people and for scripts.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "command.hpp"
#include "smoothcert/results.hpp"

namespace smoothcert::cli {

/// Opens a store to show what it holds. Rows that contradict themselves are named on stderr, left
/// out, and counted in context.left_out.
std::unique_ptr<ResultsStore> open_store(
    Context& context, const std::filesystem::path& file,
    ResultsStore::Access access = ResultsStore::Access::read_only);
/// What goes with it: names such a row and counts it.
ResultsStore::FaultHandler fault_handler(Context& context, const std::filesystem::path& file);

/// One line a run: settings, guarantee, images, ACR.
std::string run_table(const ResultsStore& store);
/// An array with one object a run.
nlohmann::json run_array(const ResultsStore& store);

/// The store that `text` names: a file, or in a folder results.sqlite, else sweep.sqlite, else the
/// only store there is. Throws where there is none, or one would have to guess.
std::filesystem::path store_file(const std::string& text);
/// The same for a store that may yet have to be made: in a folder results.sqlite.
std::filesystem::path new_store_file(const std::string& text);

}  // namespace smoothcert::cli
