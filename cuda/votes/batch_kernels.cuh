// From the data set on the device (bytes) to the floats of one batch, with or without noise.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "gpu/epoch_state.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/device/split_noise.hpp"
#include "smoothcert/label.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Noise of the smoothing regime: the same counters as the CPU's (image = data-set index, sample =
/// global step).
struct TrainNoise {
  float sigma = 0;  ///< 0: none
  bool clamp = true;
  std::uint32_t width = 0;  ///< W of splitting noise, in place of σ's; 0: Gaussian or none
};

/// One thread a group of four pixels, the four words of one Philox call.
/// images: n × image_size; labels and ids (data-set indices): n.
static __global__ void __launch_bounds__(256)
    gather_batch_kernel(EpochData data, TrainNoise noise, std::uint32_t n,
                        float* __restrict__ images, Label* __restrict__ labels,
                        std::uint32_t* __restrict__ ids) {
  const std::uint32_t groups = (data.image_size + 3) / 4;
  const std::uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  const std::uint32_t i = thread / groups, group = thread % groups;
  if (i >= n) return;
  const EpochState state = *data.state;
  const std::uint32_t id = data.order[std::size_t{state.step} * data.batch + i];
  if (group == 0) {
    labels[i] = data.labels[id];
    ids[i] = id;
  }
  const std::uint32_t split =
      noise.width > 0
          ? device::training_split(state.seed, id, state.global_step + state.step, noise.width)
          : 0;
  float z[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  if (noise.sigma > 0.0f) {
    const device::PhiloxWords words =
        device::philox_at(state.seed, static_cast<std::uint32_t>(Purpose::train_noise), id,
                          state.global_step + state.step, group);
    for (int e = 0; e < 4; e += 2) {
      const auto pair = device::normal_pair<device::ScalarMath>(words.v[e], words.v[e + 1]);
      z[e] = pair.first;
      z[e + 1] = pair.second;
    }
  }
  const std::uint8_t* from = data.pixels + std::size_t{id} * data.image_size;
  float* to = images + std::size_t{i} * data.image_size;
  for (std::uint32_t e = 0; e < 4; ++e) {
    const std::uint32_t pixel = 4 * group + e;
    if (pixel >= data.image_size) return;
    if (noise.width > 0) {
      to[pixel] = device::split_input(device::split_code(
          from[pixel], device::split_offset(state.seed, pixel, noise.width), split, noise.width));
      continue;
    }
    const float x = static_cast<float>(from[pixel]) * device::kPixelScale;
    to[pixel] = noise.sigma > 0.0f
                    ? device::gaussian_pixel<device::ScalarMath>(x, noise.sigma, z[e], noise.clamp)
                    : x;
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
