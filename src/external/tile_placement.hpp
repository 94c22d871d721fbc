// Which sample sits in which row of which tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "smoothcert/backend.hpp"

namespace smoothcert::external {

/// Rows [row, row + count) hold samples first, first + 1, … of the image and purpose of `job`.
struct DrawnRows {
  std::size_t job = 0;
  std::uint64_t first = 0;
  std::size_t row = 0, count = 0;
};

/// Rows [begin, end) are votes of `job`.
struct CountedRows {
  std::size_t job = 0;
  std::size_t begin = 0, end = 0;
};

/// A whole tile: every row is drawn, those that no job asked for are not counted.
struct Tile {
  std::vector<DrawnRows> drawn;
  std::vector<CountedRows> counted;
};

enum class Placement {
  packed,   ///< rows are filled as samples come; for models to which rows are all alike
  aligned,  ///< sample s sits in row s mod tile, with the other samples of tile s div tile
};

/// All samples of `jobs` (none of them empty jobs' samples), tile by tile.
class TilePlacer {
 public:
  TilePlacer(std::span<const VoteJob> jobs, std::size_t tile, Placement placement);
  /// False where nothing is left.
  bool next(Tile& tile);

 private:
  void pack(Tile& tile);
  void align(Tile& tile);
  void skip_finished();

  std::span<const VoteJob> jobs_;
  std::size_t tile_;
  Placement placement_;
  std::size_t job_ = 0;
  std::uint64_t at_ = 0;  ///< next sample of job_
};

}  // namespace smoothcert::external
