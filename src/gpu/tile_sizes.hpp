// How many samples the GPU paths that call libraries compute together. Fixed, since a library's
// rounding may depend on it: part of what the base classifier is, and of its description.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/value_layout.hpp"

namespace smoothcert::gpu {

/// What cuda/votes uses: tile_sizes() in vote_device.hpp, smaller on simulated GPUs.
struct TileSizes {
  std::uint32_t feature = 32768;  ///< samples whose features are multiplied at once
  std::uint32_t library_most = 8192, library_least = 16;  ///< bounds of library_tile()
};

/// How many samples fast mode's library path runs at once: a power of two within `sizes` whose
/// values take at most 512 MiB, where the bounds allow. A function of the network alone.
constexpr std::uint32_t library_tile(const ValueLayout& layout, const TileSizes& sizes = {}) {
  constexpr std::size_t kBytes = std::size_t{512} << 20;
  std::uint32_t tile = sizes.library_most;
  while (tile > sizes.library_least && tile * layout.total * sizeof(float) > kBytes) tile /= 2;
  return tile;
}

}  // namespace smoothcert::gpu
