// Segments of a batch cut into tiles of samples that a warp or warpgroup evaluates together.
#include "gpu/vote_tiles.hpp"

namespace smoothcert::gpu {

std::vector<std::uint32_t> tile_offsets(std::span<const VoteSegment> segments,
                                        std::uint32_t samples, std::uint32_t tile) {
  std::vector<std::uint32_t> offsets(segments.size() + 1, 0);
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const std::uint32_t end = s + 1 < segments.size() ? segments[s + 1].begin : samples;
    offsets[s + 1] = offsets[s] + (end - segments[s].begin + tile - 1) / tile;
  }
  return offsets;
}

}  // namespace smoothcert::gpu
