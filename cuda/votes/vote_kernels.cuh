// Argmax and votes: one thread a sample, one atomic a warp, segment and class.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "cuda/train/step_kernels.cuh"
#include "cuda/votes/find_segment.cuh"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// logits: value i of sample n at [i·value_pitch + n·sample_pitch]. counts: (classes + 1) 64-bit
/// counters per segment; the last one counts samples with a NaN logit.
static __global__ void __launch_bounds__(256)
    vote_kernel(const float* __restrict__ logits, std::size_t value_pitch, std::size_t sample_pitch,
                int classes, const VoteSegment* __restrict__ segments, std::uint32_t segment_count,
                std::uint32_t samples, unsigned long long* __restrict__ counts) {
  const std::uint32_t sample = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned active = __ballot_sync(0xffffffffu, sample < samples);
  if (sample >= samples) return;
  const int vote =
      device::argmax_or_invalid(SampleColumn{logits + sample * sample_pitch, value_pitch}, classes);
  const std::uint32_t segment = find_segment(segments, segment_count, sample);
  const auto counter = segment * static_cast<std::uint32_t>(classes + 1) +
                       static_cast<std::uint32_t>(vote < 0 ? classes : vote);
  const unsigned same = __match_any_sync(active, counter);
  if (__ffs(static_cast<int>(same)) - 1 == static_cast<int>(threadIdx.x % 32)) {
    atomicAdd(&counts[counter], static_cast<unsigned long long>(__popc(same)));
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
