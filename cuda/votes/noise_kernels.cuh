// Noisy inputs of a batch of Monte-Carlo samples: one thread a group of four pixels of one sample,
// the four words of one Philox call.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "cuda/votes/launch_exact.hpp"
#include "cuda/votes/vote_kernels.cuh"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/device/split_noise.hpp"
#include "smoothcert/device/uniform_noise.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// The sample that a thread works on: its counter words and its image.
struct NoisySample {
  VoteSegment segment;
  std::uint32_t sample;
  const std::uint8_t* image;
};

SMOOTHCERT_HD NoisySample noisy_sample(const DeviceSegments& batch, std::uint32_t n) {
  const std::uint32_t index = find_segment(batch.segments, batch.count, n);
  const VoteSegment segment = batch.segments[index];
  return {segment, segment.first_sample + (n - segment.begin),
          batch.pixels + static_cast<std::size_t>(index) * batch.image_size};
}

/// The four pixels of a group with the integers noise_of(0 … 3) added, as the network's inputs.
template <class Noise>
static __device__ __forceinline__ void add_integers(const NoisySample& s, std::uint32_t group,
                                                    std::size_t image_size, bool clamp, float* out,
                                                    std::size_t pixel_pitch, Noise&& noise_of) {
  for (std::uint32_t i = 0; i < 4; ++i) {
    const std::uint32_t pixel = 4 * group + i;
    if (pixel >= static_cast<std::uint32_t>(image_size)) return;
    out[pixel * pixel_pitch] =
        device::lattice_input(device::lattice_pixel(s.image[pixel], noise_of(i), clamp));
  }
}

static __global__ void __launch_bounds__(256)
    lattice_noise_kernel(DeviceSegments batch, device::LatticeView table, std::uint64_t seed,
                         bool clamp, float* __restrict__ out, std::size_t pixel_pitch,
                         std::size_t sample_pitch) {
  const std::uint32_t n = blockIdx.y * blockDim.x + threadIdx.x;
  if (n >= batch.samples) return;
  const NoisySample s = noisy_sample(batch, n);
  const std::uint32_t group = blockIdx.x, image = s.segment.image, purpose = s.segment.purpose;
  const device::PhiloxWords words = device::philox_at(seed, purpose, image, s.sample, group);
  add_integers(
      s, group, batch.image_size, clamp, out + n * sample_pitch, pixel_pitch, [&](std::uint32_t i) {
        return device::lattice_noise(table, words.v[i], [&] {
          return device::philox_at(seed, purpose | kRefineTag, image, s.sample, group).v[i];
        });
      });
}

static __global__ void __launch_bounds__(256)
    gaussian_noise_kernel(DeviceSegments batch, float sigma, std::uint64_t seed, bool clamp,
                          float* __restrict__ out, std::size_t pixel_pitch,
                          std::size_t sample_pitch) {
  const std::uint32_t n = blockIdx.y * blockDim.x + threadIdx.x;
  if (n >= batch.samples) return;
  const NoisySample s = noisy_sample(batch, n);
  const std::uint32_t group = blockIdx.x;
  const device::PhiloxWords words =
      device::philox_at(seed, s.segment.purpose, s.segment.image, s.sample, group);
  for (std::uint32_t i = 0; i < 4; i += 2) {
    const auto pair = device::normal_pair<device::ScalarMath>(words.v[i], words.v[i + 1]);
    for (std::uint32_t e = 0; e < 2; ++e) {
      const std::uint32_t pixel = 4 * group + i + e;
      if (pixel >= static_cast<std::uint32_t>(batch.image_size)) return;
      const float x = static_cast<float>(s.image[pixel]) * device::kPixelScale;
      out[pixel * pixel_pitch + n * sample_pitch] = device::gaussian_pixel<device::ScalarMath>(
          x, sigma, e == 0 ? pair.first : pair.second, clamp);
    }
  }
}

static __global__ void __launch_bounds__(256)
    uniform_noise_kernel(DeviceSegments batch, int log2_width, std::uint64_t seed, bool clamp,
                         float* __restrict__ out, std::size_t pixel_pitch,
                         std::size_t sample_pitch) {
  const std::uint32_t n = blockIdx.y * blockDim.x + threadIdx.x;
  if (n >= batch.samples) return;
  const NoisySample s = noisy_sample(batch, n);
  const std::uint32_t group = blockIdx.x;
  const device::PhiloxWords words =
      device::philox_at(seed, s.segment.purpose, s.segment.image, s.sample, group);
  add_integers(s, group, batch.image_size, clamp, out + n * sample_pitch, pixel_pitch,
               [&](std::uint32_t i) { return device::uniform_noise(words.v[i], log2_width); });
}

/// A sample is a split here; the offsets are those of sample 0 of image 0, whatever the image.
static __global__ void __launch_bounds__(256)
    split_noise_kernel(DeviceSegments batch, std::uint32_t width, std::uint64_t seed,
                       float* __restrict__ out, std::size_t pixel_pitch, std::size_t sample_pitch) {
  const std::uint32_t n = blockIdx.y * blockDim.x + threadIdx.x;
  if (n >= batch.samples) return;
  const NoisySample s = noisy_sample(batch, n);
  const std::uint32_t group = blockIdx.x;
  const device::PhiloxWords words = device::split_offset_words(seed, group);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const std::uint32_t pixel = 4 * group + i;
    if (pixel >= static_cast<std::uint32_t>(batch.image_size)) return;
    const std::uint32_t offset = device::split_offset_of(words.v[i], width);
    out[pixel * pixel_pitch + n * sample_pitch] =
        device::split_input(device::split_code(s.image[pixel], offset, s.sample, width));
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
