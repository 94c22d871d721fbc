// The fused feature kernel: noise and both convolutions of a sample in the shared memory of its
// warp, fp16 tensor cores with fp32 accumulators (mma.sync); only the features reach global memory.
// For networks whose linear layers are too large for the SM, LeNet above all. Compute
// capability 8.0 up.
//
// Persistent: warp w of W does the samples [S·w/W, S·(w+1)/W) of the batch, one after the other,
// and no warp waits for another. What a sample's features are depends on nothing but its draws.
#pragma once

#include "cuda/votes/find_segment.cuh"
#include "cuda/votes/fused_features_layers.cuh"
#include "cuda/votes/fused_noise.cuh"
#include "cuda/votes/launch_features.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

struct FeatureParams {
  FusedNoise noise;
  DeviceSegments batch;
  const uint4* weights = nullptr;  ///< pack_features()
  int channel_pairs = 0;
  std::uint32_t* features = nullptr;  ///< pairs of halves
};

template <class Noise, int kWarps>
struct FeatureShared {
  uint4 weights[FeatureMap::kWords / 4];
  uint4 table[Noise::kTableWords / 4 + 1];  // at least one: no empty arrays
  FeatureSample samples[kWarps];
};

/// The noisy image of one sample, a Philox group of four pixels a lane and turn.
template <class Noise>
SMOOTHCERT_LEAF void draw_image(const FusedNoise& noise, const std::uint32_t* hot,
                                const FusedStream& stream, const std::uint8_t* pixels, int lane,
                                FeatureSample& sample) {
  SMOOTHCERT_LOOP
  for (int group = lane; group < kImageGroups; group += 32) {
    const std::uint32_t four = reinterpret_cast<const std::uint32_t*>(pixels)[group];
    const std::uint8_t bytes[4] = {
        static_cast<std::uint8_t>(four), static_cast<std::uint8_t>(four >> 8),
        static_cast<std::uint8_t>(four >> 16), static_cast<std::uint8_t>(four >> 24)};
    const uint2 drawn = Noise::one_sample(noise, hot, stream, static_cast<std::uint32_t>(group),
                                          Noise::load_pixels(noise, bytes));
    store_pixels(sample, group, drawn.x, drawn.y);
  }
}

/// 12 warps need the 227 KB of compute capability 9.0, 8 the 163 KB of 8.0.
template <int kWarps>
SMOOTHCERT_HD constexpr bool feature_width_is_built() {
#if defined(__CUDA_ARCH__)
  return (kWarps == 12) == (__CUDA_ARCH__ >= 900);
#else
  return true;
#endif
}

template <class Noise, int kWarps>
__global__ void __launch_bounds__(kWarps * 32, 1)
    fused_features_kernel(const __grid_constant__ FeatureParams params) {
  if constexpr (!feature_width_is_built<kWarps>()) {
    __trap();  // rather than votes of features that nobody computed
    return;
  }
  using Shared = FeatureShared<Noise, kWarps>;
  SMOOTHCERT_DYNAMIC_SHARED(Shared, shared);
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (unsigned i = threadIdx.x; i < FeatureMap::kWords / 4; i += kWarps * 32) {
    shared->weights[i] = params.weights[i];
  }
  const auto* hot = reinterpret_cast<const std::uint32_t*>(shared->table);
  if constexpr (Noise::kTableWords > 0) {
    auto* table = reinterpret_cast<std::uint32_t*>(shared->table);
    for (unsigned i = threadIdx.x; i < 1u << params.noise.table.log2_columns; i += kWarps * 32) {
      table[i] = params.noise.table.hot[i];
    }
  }
  const unsigned warp = threadIdx.x / 32;
  FeatureSample& sample = shared->samples[warp];
  clear_margins(sample, lane);
  __syncthreads();
  const auto* weights = reinterpret_cast<const std::uint32_t*>(shared->weights);
  const auto* epilogue = reinterpret_cast<const float4*>(weights + FeatureMap::kEpilogue);
  const Conv1Weights conv1 = load_conv1(weights, lane);

  const DeviceSegments& batch = params.batch;
  const std::uint64_t worker = std::uint64_t{blockIdx.x} * kWarps + warp;
  const std::uint64_t workers = std::uint64_t{gridDim.x} * kWarps;
  auto n = static_cast<std::uint32_t>(batch.samples * worker / workers);
  const auto end = static_cast<std::uint32_t>(batch.samples * (worker + 1) / workers);
  if (n == end) return;
  std::uint32_t index = find_segment(batch.segments, batch.count, n);
  SMOOTHCERT_LOOP
  for (; n < end; ++n) {
    while (index + 1 < batch.count && batch.segments[index + 1].begin <= n) ++index;
    const VoteSegment segment = batch.segments[index];
    const FusedStream stream{segment.image, segment.purpose,
                             segment.first_sample + (n - segment.begin)};
    draw_image<Noise>(params.noise, hot, stream, batch.pixels + std::size_t{index} * kImagePixels,
                      lane, sample);
    __syncwarp();  // the image is there, and everybody is done with the last sample's pooled values
    first_convolution(sample, conv1, epilogue, lane);
    __syncwarp();  // the pooled values are there, and everybody is done with the image
    second_convolution(sample, weights, epilogue, params.channel_pairs, lane,
                       params.features + std::size_t{n} * 16 * params.channel_pairs);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
