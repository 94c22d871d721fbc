// Samples into tiles, packed or at rows of their own.
#include "external/tile_placement.hpp"

#include <algorithm>

namespace smoothcert::external {

TilePlacer::TilePlacer(std::span<const VoteJob> jobs, std::size_t tile, Placement placement)
    : jobs_(jobs), tile_(tile), placement_(placement) {
  if (!jobs_.empty()) at_ = jobs_.front().first;
  skip_finished();
}

void TilePlacer::skip_finished() {
  while (job_ < jobs_.size() && at_ >= jobs_[job_].last)
    if (++job_ < jobs_.size()) at_ = jobs_[job_].first;
}

bool TilePlacer::next(Tile& tile) {
  tile.drawn.clear();
  tile.counted.clear();
  if (job_ == jobs_.size()) return false;
  if (placement_ == Placement::packed)
    pack(tile);
  else
    align(tile);
  return true;
}

void TilePlacer::pack(Tile& tile) {
  std::size_t row = 0;
  while (row < tile_ && job_ < jobs_.size()) {
    const auto left = jobs_[job_].last - at_;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(tile_ - row, left));
    tile.drawn.push_back({job_, at_, row, count});
    tile.counted.push_back({job_, row, row + count});
    row += count;
    at_ += count;
    skip_finished();
  }
  tile.drawn.back().count += tile_ - row;  // filled up with samples that are not counted
}

void TilePlacer::align(Tile& tile) {
  const VoteJob& owner = jobs_[job_];
  const std::uint64_t begin = at_ / tile_ * tile_, end = begin + tile_;
  tile.drawn.push_back({job_, begin, 0, tile_});
  // A cut of one image at a checkpoint leaves neighbouring jobs in the same tile.
  while (job_ < jobs_.size()) {
    const VoteJob& job = jobs_[job_];
    const bool same =
        job.image == owner.image && job.purpose == owner.purpose && job.pixels == owner.pixels;
    if (!same || at_ < begin || at_ >= end) break;
    const std::uint64_t last = std::min(job.last, end);
    tile.counted.push_back(
        {job_, static_cast<std::size_t>(at_ - begin), static_cast<std::size_t>(last - begin)});
    at_ = last;
    if (at_ < job.last) break;
    skip_finished();
  }
}

}  // namespace smoothcert::external
