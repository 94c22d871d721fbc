// From a noise law to what a lane kernel draws it with.
#pragma once

#include <cstddef>

#include "cpu/lane_kernels.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::cpu {

/// The step of images of `size` pixels, without image, purpose and samples.
NoiseStep noise_step(const NoiseSpec& noise, std::size_t size);

using NoiseKernel = void (*)(const NoiseStep& step, float* out);
NoiseKernel noise_kernel(const LaneKernels& kernels, NoiseLaw law);

}  // namespace smoothcert::cpu
