// A running count over a caller's forward pass.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cpu/thread_pool.hpp"
#include "external/tile_forward.hpp"
#include "external/tile_placement.hpp"

namespace smoothcert::external {

/// ExternalModelSettings::run_on.
using RunOn = std::function<void(const std::function<void()>& task)>;

struct RunShape {
  std::size_t tile = 0, pixels = 0;
  int classes = 0;
  Placement placement = Placement::packed;
};

/// Noise, forward pass, votes, tile after tile, on a thread of its own, or in turns where `run_on`
/// puts them. `forward`, `pool` and `images` (one tile) must outlive the run and are in use until
/// it has ended.
std::unique_ptr<VoteRun> start_run(const Forward& forward, const RunShape& shape,
                                   const NoiseSpec& noise, ThreadPool& pool,
                                   std::span<float> images, std::vector<VoteJob> jobs,
                                   std::function<void(const VoteResult&)> on_result, RunOn run_on);

}  // namespace smoothcert::external
