// Where in its batch a sample stands.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "gpu/vote_segment.hpp"
#include "smoothcert/device/hd.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Index of the segment that holds this sample of the batch.
SMOOTHCERT_HD std::uint32_t find_segment(const VoteSegment* segments, std::uint32_t count,
                                         std::uint32_t sample) {
  std::uint32_t low = 0, high = count;  // segments[low].begin <= sample < segments[high].begin
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    if (segments[middle].begin <= sample) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
