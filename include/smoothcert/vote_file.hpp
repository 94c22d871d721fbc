// Votes in a text file, from whatever program counted them: for radii without a model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "smoothcert/vote_bounds.hpp"

namespace smoothcert {

struct VoteRow {
  std::vector<std::string> cells;  ///< as they stand in the file, one a column
  VoteSplit votes;
};

struct VoteFile {
  std::vector<std::string> columns;
  std::vector<VoteRow> rows;
  bool has_second = false;  ///< whether `second` is known of every row
};

/// A line of column names, then a row an image, separated by tabs or (without any tab in the first
/// line) by commas. Either `k` (votes for the class that was selected beforehand) and `n` (all
/// samples), with `second` (votes for the strongest other answer) where it is known; or, separated
/// by tabs, `counts` ("[3,0,997]", the votes of every class), `selected` (the class) and, where
/// there are any, `invalid` (samples without an answer). Other columns are kept. Throws Error
/// naming file and line: missing columns, numbers that are none, more votes than samples, no rows.
VoteFile read_vote_file(const std::filesystem::path& file);

}  // namespace smoothcert
