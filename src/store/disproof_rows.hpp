// The rows of the table of disproofs, each checked as it is read.
#pragma once

#include <string>
#include <vector>

#include "smoothcert/disproof.hpp"
#include "smoothcert/results.hpp"
#include "store/sqlite.hpp"
#include "store/tables.hpp"

namespace smoothcert::store {

/// "" or what is wrong with a disproof of an image of this run.
std::string disproof_fault(const RunInfo& run, const Disproof& disproof);

/// By image. Rows that fail go to reading.on_fault and are left out.
std::vector<Disproof> read_disproofs(Database& db, const RunInfo& run, const Reading& reading);

/// Within the caller's transaction. "" or how the row contradicts the one that the store has for
/// this image, which then stays: an image is tested once.
std::string write_disproof(Database& db, const RunInfo& run, const Disproof& disproof);

/// Everything but the time, for comparisons.
std::string disproof_text(const Disproof& disproof);

}  // namespace smoothcert::store
