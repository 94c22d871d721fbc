// The two convolutions of the fused feature kernel, one warp = one sample, as matrix products whose
// rows are output positions and whose A operands are read from shared memory as they are needed.
// Lane = 4g + t.
//
//  - Image: 28 rows of halves, twice, the second copy one pixel further right: a pair (x, x + 1) is
//    one 32-bit word whatever the parity of x. Rows are 16 words apart: no two lanes of a load meet
//    in a bank.
//  - A pair of m16 tiles covers eight pooling windows: window g is in rows g (dx = 0) and g + 8
//    (dx = 1) of the first tile (dy = 0) and of the second (dy = 1), so that the four partners of
//    a pooling are registers of one lane.
//  - conv1's pooled outputs stand channels last, 20 halves a position: the five taps of a window's
//    row are 100 halves in a row, and the windows of a load 20 words apart, free of bank conflicts.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "cuda/runtime/tensor_core.cuh"
#include "gpu/feature_packing.hpp"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// What one warp keeps of its sample, in words of two halves.
struct alignas(16) FeatureSample {
  static constexpr int kRow = 16, kCopy = 28 * kRow;
  static constexpr int kPosition = FeatureNetwork::kChannels1 / 2, kPooledRow = 12 * kPosition;
  static constexpr int kPooled = 12 * kPooledRow;
  /// Rows 500..511 of conv2's matrix are zeros, and read what lies behind the last position.
  static constexpr int kBehind = 80;
  std::uint32_t image[2 * kCopy];
  std::uint32_t pooled[kPooled + kBehind];
};

/// Zeros where no sample ever writes and products with zero weights read. By the whole warp.
SMOOTHCERT_LEAF void clear_margins(FeatureSample& sample, int lane) {
  // Behind the last pixel of each row of the second copy: the sixth tap of the last window.
  if (lane < 28) sample.image[FeatureSample::kCopy + lane * FeatureSample::kRow + 14] = 0;
  for (int i = lane; i < FeatureSample::kBehind; i += 32) {
    sample.pooled[FeatureSample::kPooled + i] = 0;
  }
}

/// Stores pixels 4·group..4·group + 3 of the image.
SMOOTHCERT_LEAF void store_pixels(FeatureSample& sample, int group, Half2 first, Half2 second) {
  const int row = group / 7, at = row * FeatureSample::kRow + 2 * (group - 7 * row);
  *reinterpret_cast<uint2*>(&sample.image[at]) = uint2{first, second};
  std::uint32_t* shifted = &sample.image[FeatureSample::kCopy + at];
  auto* halves = reinterpret_cast<std::uint16_t*>(shifted);
  halves[1] = static_cast<std::uint16_t>(first);
  shifted[1] = permute_bytes(first, second, 0x5432);
  halves[4] = static_cast<std::uint16_t>(second >> 16);
}

/// relu(gain·max + bias) of a pooling window for the two channels of a column pair: `top` and
/// `bottom` are the accumulators of dy = 0 and 1; constants {gain, gain, bias, bias}. NaN is kept.
SMOOTHCERT_LEAF Half2 pool_pair(const float (&top)[4], const float (&bottom)[4],
                                const float4& constants) {
  const auto channel = [&](int c, float gain, float bias) {
    const float largest = max_or_nan(max_or_nan(top[c], top[2 + c]),  //
                                     max_or_nan(bottom[c], bottom[2 + c]));
    return max_or_nan(device::fused_multiply_add(gain, largest, bias), 0.0f);
  };
  return pack_halves(channel(0, constants.x, constants.z), channel(1, constants.y, constants.w));
}

/// What a lane keeps of conv1 between samples.
struct Conv1Weights {
  Half2 b[FeatureMap::kBlocks1][FeatureMap::kGroups1][2];
  int offset[FeatureMap::kBlocks1][2];  ///< of rows 2t and 2t + 8 of a block, in words
};

SMOOTHCERT_LEAF Conv1Weights load_conv1(const std::uint32_t* weights, int lane) {
  Conv1Weights w;
  SMOOTHCERT_UNROLL
  for (int block = 0; block < FeatureMap::kBlocks1; ++block) {
    SMOOTHCERT_UNROLL
    for (int group = 0; group < FeatureMap::kGroups1; ++group) {
      const uint2 v = reinterpret_cast<const uint2*>(
          weights + FeatureMap::kConv1)[(block * FeatureMap::kGroups1 + group) * 32 + lane];
      w.b[block][group][0] = v.x;
      w.b[block][group][1] = v.y;
    }
    SMOOTHCERT_UNROLL
    for (int half = 0; half < 2; ++half) {
      // Pairs of taps are three a row; the sixteenth, of zeros, reads what its neighbour reads.
      const int pair = 8 * block + lane % 4 + 4 * half, tap = pair < 15 ? pair : 14;
      w.offset[block][half] = tap / 3 * FeatureSample::kRow + tap % 3;
    }
  }
  return w;
}

/// conv1, ReLU and pooling: image → pooled.
SMOOTHCERT_LEAF void first_convolution(FeatureSample& sample, const Conv1Weights& w,
                                       const float4* epilogue, int lane) {
  constexpr int kGroups = FeatureMap::kGroups1;
  const int g = lane / 4, t = lane % 4;
  float4 constants[kGroups];
  SMOOTHCERT_UNROLL
  for (int group = 0; group < kGroups; ++group) constants[group] = epilogue[4 * group + t];
  SMOOTHCERT_LOOP
  for (int tile = 0; tile < 18; ++tile) {
    const int window = 8 * tile + g, y = window / 12, x = window - 12 * y;
    const std::uint32_t* corner = &sample.image[2 * y * FeatureSample::kRow + x];
    float sums[2][kGroups][4] = {};
    SMOOTHCERT_UNROLL
    for (int dy = 0; dy < 2; ++dy) {
      SMOOTHCERT_UNROLL
      for (int block = 0; block < FeatureMap::kBlocks1; ++block) {
        Half2 a[4];
        SMOOTHCERT_UNROLL
        for (int half = 0; half < 2; ++half) {
          const std::uint32_t* at = corner + w.offset[block][half] + dy * FeatureSample::kRow;
          a[2 * half] = at[0];
          a[2 * half + 1] = at[FeatureSample::kCopy + 1];
        }
        SMOOTHCERT_UNROLL
        for (int group = 0; group < kGroups; ++group)
          mma_f32(sums[dy][group], a, w.b[block][group]);
      }
    }
    SMOOTHCERT_UNROLL
    for (int group = 0; group < kGroups; ++group) {
      const int pair = 4 * group + t;
      const Half2 out = pool_pair(sums[0][group], sums[1][group], constants[group]);
      if (pair < FeatureSample::kPosition) {
        sample.pooled[window * FeatureSample::kPosition + pair] = out;
      }
    }
  }
}

/// conv2, ReLU and pooling: pooled → features in global memory, FeaturePlace. All 64 positions at
/// once, so that a weight is loaded once a sample.
SMOOTHCERT_LEAF void second_convolution(const FeatureSample& sample, const std::uint32_t* weights,
                                        const float4* epilogue, int channel_pairs, int lane,
                                        std::uint32_t* features) {
  constexpr int kGroups = FeatureMap::kGroups2;
  const int g = lane / 4, t = lane % 4;
  const std::uint32_t* corner =
      &sample.pooled[g / 4 * 2 * FeatureSample::kPooledRow + g % 4 * 2 * FeatureSample::kPosition];
  float sums[2][2][kGroups][4] = {};  // [rows 4q..4q + 3][dy]
  SMOOTHCERT_LOOP
  for (int block = 0; block < FeatureMap::kBlocks2; ++block) {
    const std::uint32_t* fragment = weights + FeatureMap::kConv2 + block * FeatureMap::kBlockWords;
    Half2 b[kGroups][2];
    SMOOTHCERT_UNROLL
    for (int i = 0; i < 3; ++i) {
      const uint4 v = reinterpret_cast<const uint4*>(fragment)[32 * i + lane];
      b[2 * i][0] = v.x;
      b[2 * i][1] = v.y;
      b[2 * i + 1][0] = v.z;
      b[2 * i + 1][1] = v.w;
    }
    const uint2 last = reinterpret_cast<const uint2*>(fragment + 384)[lane];
    b[6][0] = last.x;
    b[6][1] = last.y;
    // A window's row is 50 words in a row, the next one 70 words further on.
    const std::uint32_t* at[2];
    SMOOTHCERT_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int pair = 8 * block + t + 4 * half;
      at[half] = corner + pair + pair * 1311 / 65536 * (FeatureSample::kPooledRow - 50);
    }
    SMOOTHCERT_UNROLL
    for (int q = 0; q < 2; ++q) {
      SMOOTHCERT_UNROLL
      for (int dy = 0; dy < 2; ++dy) {
        const int row = (4 * q + dy) * FeatureSample::kPooledRow;
        const Half2 a[4] = {at[0][row], at[0][row + FeatureSample::kPosition], at[1][row],
                            at[1][row + FeatureSample::kPosition]};
        SMOOTHCERT_UNROLL
        for (int group = 0; group < kGroups; ++group) mma_f32(sums[q][dy][group], a, b[group]);
      }
    }
  }
  SMOOTHCERT_UNROLL
  for (int group = 0; group < kGroups; ++group) {
    const int pair = 4 * group + t;
    const float4 constants = epilogue[FeatureMap::kGroups1 * 4 + pair];
    SMOOTHCERT_UNROLL
    for (int q = 0; q < 2; ++q) {
      const Half2 out = pool_pair(sums[q][0][group], sums[q][1][group], constants);
      if (pair < channel_pairs) features[16 * pair + 8 * q + g] = out;
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
