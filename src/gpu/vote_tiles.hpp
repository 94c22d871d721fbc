// Segments of a batch cut into tiles of samples that a warp or warpgroup evaluates together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gpu/vote_segment.hpp"

namespace smoothcert::gpu {

/// First tile of each segment, and the number of all tiles at the end; a tile holds up to `tile`
/// samples of one segment.
std::vector<std::uint32_t> tile_offsets(std::span<const VoteSegment> segments,
                                        std::uint32_t samples, std::uint32_t tile);

}  // namespace smoothcert::gpu
