// The fused kernel of exact mode: noise, network and vote in float32, each output by the plan's
// fmafs in the plan's order, so that votes equal the CPU's. A block evaluates a few samples of one
// image together, activations in shared memory.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "cuda/votes/launch_fused.hpp"
#include "gpu/exact_program.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/normal.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// The program as a kernel parameter.
struct ExactParams {
  ExactStage stage[ExactProgram::kMostStages];
  std::int32_t stages;
  ElementOps input;
  std::int32_t image_size, image_area, classes, logits, sample_floats, samples;
  const float* weights;
  FusedBatch batch;
  device::LatticeView table;
  std::uint64_t seed;
  float sigma;
  bool clamp;
};

/// Element-wise steps on values of one channel: each step is decided, and its constants are read,
/// once for all of them.
template <int kValues>
static __device__ __forceinline__ void apply(const ElementOps& ops, const float* weights,
                                             int channel, float (&x)[kValues]) {
  SMOOTHCERT_LOOP
  for (int i = 0; i < ops.count; ++i) {
    if (ops.op[i].relu) {
      SMOOTHCERT_UNROLL
      for (float& v : x) v = device::relu(v);
    } else {
      const float scale = __ldg(weights + ops.op[i].scale + channel);
      const float shift = __ldg(weights + ops.op[i].shift + channel);
      SMOOTHCERT_UNROLL
      for (float& v : x) v = device::affine(v, scale, shift);
    }
  }
}
static __device__ __forceinline__ float apply(const ElementOps& ops, const float* weights,
                                              int channel, float x) {
  float value[1] = {x};
  apply(ops, weights, channel, value);
  return value[0];
}

/// Four pixels of one sample, by the leaves that every backend shares.
template <bool kLattice>
static __device__ __forceinline__ void exact_noise(const ExactParams& p, const VoteSegment& segment,
                                                   const std::uint8_t* pixels, std::uint32_t sample,
                                                   std::uint32_t group, float* out) {
  const device::PhiloxWords words =
      device::philox_at(p.seed, segment.purpose, segment.image, sample, group);
  float value[4];
  SMOOTHCERT_UNROLL
  for (std::uint32_t i = 0; i < 4; ++i) {
    const auto pixel = static_cast<std::int32_t>(4 * group + i);
    const int x = pixel < p.image_size ? pixels[pixel] : 0;
    if constexpr (kLattice) {
      const int noise = device::lattice_noise(p.table, words.v[i], [&] {
        return device::philox_at(p.seed, segment.purpose | kRefineTag, segment.image, sample, group)
            .v[i];
      });
      value[i] = device::lattice_input(device::lattice_pixel(x, noise, p.clamp));
    } else {
      const std::uint32_t even = i & 2u;
      const auto pair = device::normal_pair<device::ScalarMath>(words.v[even], words.v[even + 1]);
      value[i] = device::gaussian_pixel<device::ScalarMath>(
          static_cast<float>(x) * device::kPixelScale, p.sigma,
          i % 2 == 0 ? pair.first : pair.second, p.clamp);
    }
    if (pixel < p.image_size) {
      out[pixel] = apply(p.input, p.weights, pixel / p.image_area, value[i]);
    }
  }
}

/// A 2×2 tile of outputs of kBlock channels of one sample: each weight is loaded once for its
/// 4·kBlock products, each input row once for both output rows.
template <int kKernel, int kBlock>
static __device__ __forceinline__ void conv_tile(const ExactStage& s, const float* weights,
                                                 const float* in, int block, int y, int x,
                                                 float (&acc)[kBlock][2][2]) {
  constexpr int kColumns = kKernel + 1;
  const int area = s.in_height * s.in_width;
  const float* w =
      weights + s.weight +
      static_cast<std::size_t>(block) * s.in_channels * kKernel * kKernel * kWeightGroup;
  const float* row = in + y * s.in_width + x;
  const auto load = [&](const float* from, float(&to)[kColumns]) {
    SMOOTHCERT_UNROLL
    for (int i = 0; i < kColumns; i += 2) {
      const float2 v = *reinterpret_cast<const float2*>(from + i);
      to[i] = v.x;
      to[i + 1] = v.y;
    }
  };
  SMOOTHCERT_LOOP
  for (int c = 0; c < s.in_channels; ++c, row += area) {
    float upper[kColumns], lower[kColumns];
    load(row, lower);
    SMOOTHCERT_UNROLL
    for (int ky = 0; ky < kKernel; ++ky) {
      SMOOTHCERT_UNROLL
      for (int i = 0; i < kColumns; ++i) upper[i] = lower[i];
      load(row + (ky + 1) * s.in_width, lower);
      SMOOTHCERT_UNROLL
      for (int kx = 0; kx < kKernel; ++kx, w += kWeightGroup) {
        const float4 first = *reinterpret_cast<const float4*>(w);
        const float weight[5] = {first.x, first.y, first.z, first.w, kBlock > 4 ? w[4] : 0.0f};
        SMOOTHCERT_UNROLL
        for (int o = 0; o < kBlock; ++o) {
          SMOOTHCERT_UNROLL
          for (int dx = 0; dx < 2; ++dx) {
            acc[o][0][dx] = device::fused_multiply_add(weight[o], upper[kx + dx], acc[o][0][dx]);
            acc[o][1][dx] = device::fused_multiply_add(weight[o], lower[kx + dx], acc[o][1][dx]);
          }
        }
      }
    }
  }
}

/// One stage's convolution for all samples of the block.
template <int kKernel, int kBlock>
static __device__ __forceinline__ void conv_stage(const ExactParams& p, const ExactStage& s,
                                                  float* values) {
  const int conv_height = s.in_height - kKernel + 1, conv_width = s.in_width - kKernel + 1;
  const int tiles_x = conv_width / 2, tiles = tiles_x * (conv_height / 2);
  const int blocks = (s.out_channels + kBlock - 1) / kBlock;
  const int out_area = s.out_height * s.out_width;
  for (int i = static_cast<int>(threadIdx.x); i < tiles * p.samples * blocks;
       i += static_cast<int>(blockDim.x)) {
    // Tiles innermost: the lanes of a warp share weights.
    const int tile = i % tiles, sample = i / tiles % p.samples, block = i / tiles / p.samples;
    const int y = tile / tiles_x * 2, x = tile % tiles_x * 2;
    float* const base = values + sample * p.sample_floats;
    float acc[kBlock][2][2];
    SMOOTHCERT_UNROLL
    for (int o = 0; o < kBlock; ++o) {
      const int channel = block * kBlock + o;
      const float bias = channel < s.out_channels ? __ldg(p.weights + s.bias + channel) : 0.0f;
      acc[o][0][0] = acc[o][0][1] = acc[o][1][0] = acc[o][1][1] = bias;
    }
    conv_tile<kKernel, kBlock>(s, p.weights, base + s.in, block, y, x, acc);
    SMOOTHCERT_UNROLL
    for (int o = 0; o < kBlock; ++o) {
      const int channel = block * kBlock + o;
      if (channel >= s.out_channels) break;
      float* const out = base + s.out + channel * out_area;
      float value[4] = {acc[o][0][0], acc[o][0][1], acc[o][1][0], acc[o][1][1]};
      apply(s.before_pool, p.weights, channel, value);
      float best = -INFINITY;
      SMOOTHCERT_UNROLL
      for (int k = 0; k < 4; ++k) {
        best = device::max_or_nan(best, value[k]);
        if (s.pool == 1) out[(y + k / 2) * s.out_width + x + k % 2] = value[k];
      }
      if (s.pool == 2) {
        out[y / 2 * s.out_width + x / 2] = apply(s.after_pool, p.weights, channel, best);
      }
    }
  }
}

static __device__ __forceinline__ void linear_stage(const ExactParams& p, const ExactStage& s,
                                                    float* values) {
  for (int i = static_cast<int>(threadIdx.x); i < s.out_channels * p.samples;
       i += static_cast<int>(blockDim.x)) {
    const int output = i % s.out_channels;
    float* const base = values + i / s.out_channels * p.sample_floats;
    const float* w = p.weights + s.weight + output;
    float acc = __ldg(p.weights + s.bias + output);
    for (int k = 0; k < s.in_channels; ++k) {
      acc = device::fused_multiply_add(__ldg(w + static_cast<std::size_t>(k) * s.out_channels),
                                       base[s.in + k], acc);
    }
    base[s.out + output] = apply(s.before_pool, p.weights, output, acc);
  }
}

static __device__ __forceinline__ void run_stage(const ExactParams& p, const ExactStage& s,
                                                 float* values) {
  if (s.linear) {
    linear_stage(p, s, values);
  } else if (s.kernel == 5) {
    s.block == 5 ? conv_stage<5, 5>(p, s, values) : conv_stage<5, 4>(p, s, values);
  } else {
    s.block == 5 ? conv_stage<3, 5>(p, s, values) : conv_stage<3, 4>(p, s, values);
  }
}

/// A block works every gridDim.x-th tile of up to p.samples samples of one segment.
template <bool kLattice>
__global__ void __launch_bounds__(128, 4)
    fused_exact_kernel(const __grid_constant__ ExactParams p) {
  SMOOTHCERT_DYNAMIC_SHARED(float, values);
  const FusedBatch& batch = p.batch;
  const std::uint32_t tiles = batch.tiles[batch.count];
  const int groups = (p.image_size + 3) / 4;
  for (std::uint32_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const std::uint32_t index = segment_of_tile(batch, tile);
    const VoteSegment segment = batch.segments[index];
    const std::uint32_t done = (tile - batch.tiles[index]) * static_cast<std::uint32_t>(p.samples);
    const std::uint32_t end =
        index + 1 < batch.count ? batch.segments[index + 1].begin : batch.samples;
    const std::uint32_t remaining = end - segment.begin - done;
    const std::uint8_t* pixels =
        batch.pixels + std::size_t{index} * static_cast<std::size_t>(p.image_size);
    for (int i = static_cast<int>(threadIdx.x); i < groups * p.samples;
         i += static_cast<int>(blockDim.x)) {
      const int sample = i / groups;
      exact_noise<kLattice>(
          p, segment, pixels, segment.first_sample + done + static_cast<std::uint32_t>(sample),
          static_cast<std::uint32_t>(i % groups), values + sample * p.sample_floats);
    }
    __syncthreads();
    for (int s = 0; s < p.stages; ++s) {
      run_stage(p, p.stage[s], values);
      __syncthreads();
    }
    // The logits have a place of their own: no barrier before the next tile's noise.
    if (threadIdx.x < static_cast<unsigned>(p.samples) && threadIdx.x < remaining) {
      const int vote = device::argmax_or_invalid(
          values + static_cast<int>(threadIdx.x) * p.sample_floats + p.logits, p.classes);
      atomicAdd(&batch.counts[std::size_t{index} * static_cast<std::size_t>(p.classes + 1) +
                              static_cast<std::size_t>(vote < 0 ? p.classes : vote)],
                1ull);
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
