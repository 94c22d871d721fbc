// From a noise law to what a lane kernel draws it with.
#include "cpu/lane_noise_step.hpp"

#include "smoothcert/error.hpp"

namespace smoothcert::cpu {

NoiseStep noise_step(const NoiseSpec& noise, std::size_t size) {
  NoiseStep step;
  step.count = size;
  step.seed = noise.seed;
  step.clamp = noise.clamp;
  step.sigma = static_cast<float>(noise.sigma);
  step.width = noise.width;
  if (noise.law == NoiseLaw::lattice) {
    step.hot = noise.table->hot.data();
    step.cold = noise.table->cold.data();
    step.log2_columns = noise.table->log2_columns;
    step.offset = noise.table->offset;
  }
  return step;
}

NoiseKernel noise_kernel(const LaneKernels& kernels, NoiseLaw law) {
  switch (law) {
    case NoiseLaw::lattice:
      return kernels.lattice_noise;
    case NoiseLaw::gaussian:
      return kernels.gaussian_noise;
    case NoiseLaw::uniform:
      return kernels.uniform_noise;
    case NoiseLaw::split:
      return kernels.split_noise;
  }
  throw Error("unknown noise law");
}

}  // namespace smoothcert::cpu
