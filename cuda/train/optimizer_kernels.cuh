// Adam and SGD over all parameters at once: the step that the loss left in `updating`, whose
// numbers come from device memory. They end the step: the last block to be done counts it up.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "gpu/epoch_state.hpp"
#include "smoothcert/device/updates.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

static __global__ void __launch_bounds__(256)
    adam_kernel(const OptimizerStep* __restrict__ steps, const EpochState* __restrict__ state,
                std::size_t count, const float* __restrict__ gradient,
                float* __restrict__ parameters, float* __restrict__ m, float* __restrict__ v) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const device::AdamStep step = steps[state->updating].adam;
  device::adam_update(step, gradient[i], parameters[i], m[i], v[i]);
}

static __global__ void __launch_bounds__(256)
    sgd_kernel(const OptimizerStep* __restrict__ steps, const EpochState* __restrict__ state,
               std::size_t count, const float* __restrict__ gradient,
               float* __restrict__ parameters, float* __restrict__ buffer) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const device::SgdStep step = steps[state->updating].sgd;
  device::sgd_update(step, gradient[i], parameters[i], buffer[i]);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
