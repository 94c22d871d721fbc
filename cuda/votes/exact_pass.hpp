// Exact mode on one stream: noise, the plan's steps, votes. Runs on a GPU and, in the tests, in the
// SIMT emulator.
#pragma once

#include "cuda/votes/launch_exact.hpp"
#include "cuda/votes/launch_general.hpp"
#include "gpu/value_layout.hpp"
#include "smoothcert/inference_plan.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Floats between two values of one sample: whole 128-byte lines.
constexpr std::size_t value_pitch(std::uint32_t samples) {
  return (std::size_t{samples} + 31) / 32 * 32;
}

/// Runs the plan on `values` (layout.total × pitch floats), whose image value is filled. Returns
/// where the logits are.
const float* run_plan(Stream stream, const InferencePlan& plan, const ValueLayout& layout,
                      const float* params, float* values, std::uint32_t samples, std::size_t pitch);

/// Counts the votes of one batch into `counts`, which holds zeros.
void count_exact_votes(Stream stream, const InferencePlan& plan, const ValueLayout& layout,
                       const float* params, const NoiseSpec& noise,
                       const device::LatticeView& table, const DeviceSegments& batch, float* values,
                       unsigned long long* counts);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
