// The network of the fused kernel, one warp = 16 samples, activations in matrix fragments that are
// next layer's operands as they stand. Lane = 4g + t; samples g and g + 8 are rows of a fragment.
//
// Ownership (docs/fused-kernel.md):
//  - pixel cell (q, c): image rows 4q..4q+3, columns 2c, 2c+1; lane t has row 4q + t, both columns;
//  - tile row i = conv1 rows 4i..4i+3 = pooled rows 2i, 2i+1; double tile J = pooled columns 2J,
//    2J+1;
//  - P[j] = pooled channel t, rows 2i (low half) and 2i+1, column j; Q[u] = pooled channel 4, row
//    2i + t % 2, columns 4u + t / 2 (low half) and 4u + 2 + t / 2.
// The four partners of a 2×2 pooling are the same register of four products, so pooling is three
// packed maxima and no exchange.
#pragma once

#include "cuda/runtime/tensor_core.cuh"
#include "gpu/fused_packing.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Pooled conv1 outputs of one tile row, [row of the fragment: sample g, g + 8].
struct PooledRow {
  Half2 p[12][2];
  Half2 q[3][2];
};

SMOOTHCERT_LEAF uint4 lane_group(const uint4* groups, int group, int lane) {
  return groups[group * 32 + lane];
}

/// Fragments 2·pair and 2·pair + 1 of this lane.
SMOOTHCERT_LEAF void load_pair(const uint4* groups, int pair, int lane, Half2 (&even)[2],
                               Half2 (&odd)[2]) {
  const uint4 v = lane_group(groups, pair, lane);
  even[0] = v.x;
  even[1] = v.y;
  odd[0] = v.z;
  odd[1] = v.w;
}

SMOOTHCERT_LEAF Half2 max4(Half2 a, Half2 b, Half2 c, Half2 d) {
  return max_halves(max_halves(a, b), max_halves(c, d));
}
/// (low halves, high halves) of two words, then their maximum: a maximum across neighbours.
SMOOTHCERT_LEAF Half2 max_across(Half2 a, Half2 b) {
  return max_halves(permute_bytes(a, b, 0x5410), permute_bytes(a, b, 0x7632));
}

/// conv1, ReLU and pooling of double tile J from quads 2J..2J+3 of `cells`; `b` holds the 20
/// fragments of conv1. `carried` holds channel 4 of an even J to the next one.
SMOOTHCERT_LEAF void conv1_tile(const Half2 (&cells)[14][4], const Half2 (&b)[20][2],
                                const uint4* groups, int lane, int J, Half2 (&carried)[2],
                                PooledRow& out) {
  const uint4 epilogue = lane_group(groups, kFragmentPairs, lane);
  SMOOTHCERT_UNROLL
  for (int a = 0; a < 2; ++a) {
    Half2 d[4][2] = {};
    SMOOTHCERT_UNROLL
    for (int cc = 0; cc < 3; ++cc) {
      SMOOTHCERT_UNROLL
      for (int m = 0; m < 4; ++m) {
        mma_f16(d[m], cells[2 * J + a + cc], b[3 * m + cc], d[m]);
      }
    }
    SMOOTHCERT_UNROLL
    for (int r = 0; r < 2; ++r) {
      out.p[2 * J + a][r] =
          fma_relu_halves(epilogue.x, max4(d[0][r], d[1][r], d[2][r], d[3][r]), epilogue.y);
    }
  }
  Half2 d[2][2] = {};
  SMOOTHCERT_UNROLL
  for (int cc = 0; cc < 4; ++cc) {
    SMOOTHCERT_UNROLL
    for (int m = 0; m < 2; ++m) {
      mma_f16(d[m], cells[2 * J + cc], b[FragmentMap::kConv1x + 4 * m + cc], d[m]);
    }
  }
  SMOOTHCERT_UNROLL
  for (int r = 0; r < 2; ++r) {
    const Half2 v = max_halves(d[0][r], d[1][r]);
    if (J % 2 == 0) {
      carried[r] = v;
    } else {
      out.q[J / 2][r] = fma_relu_halves(epilogue.z, max_across(carried[r], v), epilogue.w);
    }
  }
}

/// conv2 accumulators of one output row pair, two words each: for each half row (two pooled
/// columns) [2·column + dy] of channels 0..3, then channel 4.
using Conv2Sums = Half2[10][2];
SMOOTHCERT_HD constexpr int sum_index(int column, int dy) {
  return column / 2 * 5 + column % 2 * 2 + dy;
}

/// Adds what one tile row contributes to one output row pair: 42 products. `first` fragment pair
/// of this distance. With `fresh` the sums start from zero.
SMOOTHCERT_LEAF void conv2_rows(Conv2Sums& sums, bool fresh, const PooledRow& in,
                                const uint4* groups, int first, int lane) {
  Half2 b[16][2];
  SMOOTHCERT_UNROLL
  for (int f = 0; f < 8; ++f) load_pair(groups, first + f, lane, b[2 * f], b[2 * f + 1]);
  if (fresh) {
    SMOOTHCERT_UNROLL
    for (int i = 0; i < 10; ++i) sums[i][0] = sums[i][1] = 0;
  }
  const auto columns = [&](Half2(&sum)[2], int j, const Half2(&weights)[2]) {
    const Half2 a[4] = {in.p[j][0], in.p[j][1], in.p[j + 1][0], in.p[j + 1][1]};
    mma_f16(sum, a, weights, sum);
  };
  const auto channel4 = [&](Half2(&sum)[2], int u, const Half2(&weights)[2]) {
    const Half2 a[4] = {in.q[u][0], in.q[u][1], in.q[u + 1][0], in.q[u + 1][1]};
    mma_f16(sum, a, weights, sum);
  };
  SMOOTHCERT_UNROLL
  for (int dy = 0; dy < 2; ++dy) {
    SMOOTHCERT_UNROLL
    for (int block = 0; block < 3; ++block) {
      SMOOTHCERT_UNROLL
      for (int pair = 0; pair < 4; ++pair) {
        columns(sums[sum_index(pair, dy)], 2 * (pair + block), b[3 * dy + block]);
      }
    }
  }
  SMOOTHCERT_UNROLL
  for (int pair = 0; pair < 4; ++pair) {
    SMOOTHCERT_UNROLL
    for (int dy = 0; dy < 2; ++dy) {
      channel4(sums[sum_index(pair, dy)], pair / 2, b[6 + pair % 2 * 2 + dy]);
    }
  }
  SMOOTHCERT_UNROLL
  for (int half = 0; half < 2; ++half) {
    SMOOTHCERT_UNROLL
    for (int u = 0; u < 4; ++u) columns(sums[5 * half + 4], 2 * (2 * half + u), b[10 + u]);
    channel4(sums[5 * half + 4], half, b[14]);
  }
}

/// What a lane keeps in shared memory between tile rows, one 16-byte word every `kStride`: a ring
/// of three sets of conv2 sums, then the features of the linear layer. No other lane touches it.
template <int kStride>
struct LaneStash {
  static constexpr int kWords = 21;
  uint4* base;

  SMOOTHCERT_LEAF void save(uint4* at, const Conv2Sums& sums) {
    SMOOTHCERT_UNROLL
    for (int k = 0; k < 5; ++k) {
      at[k * kStride] =
          uint4{sums[2 * k][0], sums[2 * k][1], sums[2 * k + 1][0], sums[2 * k + 1][1]};
    }
  }
  SMOOTHCERT_LEAF void load(const uint4* at, Conv2Sums& sums) {
    SMOOTHCERT_UNROLL
    for (int k = 0; k < 5; ++k) {
      const uint4 v = at[k * kStride];
      sums[2 * k][0] = v.x;
      sums[2 * k][1] = v.y;
      sums[2 * k + 1][0] = v.z;
      sums[2 * k + 1][1] = v.w;
    }
  }
  /// Sums of output row pair p live in slot p mod 3.
  SMOOTHCERT_HD uint4* slot(int index) const { return base + index * 5 * kStride; }
  SMOOTHCERT_HD uint4* features(int p) const { return base + (15 + p) * kStride; }
  SMOOTHCERT_HD uint4* features4(int p) const { return base + (19 + p / 2) * kStride; }
};

/// Pools and rectifies the finished sums of pooled row p into the features of the linear layer.
template <class Stash>
SMOOTHCERT_LEAF void conv2_finish(const Conv2Sums& sums, const uint4* groups, const Stash& stash,
                                  int p, int lane) {
  const uint4 e = lane_group(groups, kFragmentPairs + 1, lane);
  Half2 a[4], x[2];
  SMOOTHCERT_UNROLL
  for (int r = 0; r < 2; ++r) {
    SMOOTHCERT_UNROLL
    for (int w = 0; w < 2; ++w) {
      const Half2 left = max_halves(sums[5 * w][r], sums[5 * w + 1][r]);
      const Half2 right = max_halves(sums[5 * w + 2][r], sums[5 * w + 3][r]);
      a[2 * w + r] = fma_relu_halves(e.x, max_across(left, right), e.y);
    }
    Half2 m = max_across(sums[4][r], sums[9][r]);
    m = max_halves(m, __shfl_xor_sync(0xffffffffu, m, 1));
    x[r] = fma_relu_halves(e.z, m, e.w);
  }
  *stash.features(p) = uint4{a[0], a[1], a[2], a[3]};
  reinterpret_cast<uint2*>(stash.features4(p))[p % 2] = uint2{x[0], x[1]};
}

/// The linear layer: logits[b][..] of classes 8b + 2t, 8b + 2t + 1 for samples g, g + 8.
template <class Stash>
SMOOTHCERT_LEAF void linear_layer(float (&logits)[2][4], const uint4* groups, const Stash& stash,
                                  int lane) {
  SMOOTHCERT_UNROLL
  for (int p = 0; p < 4; ++p) {
    Half2 b[4][2];
    load_pair(groups, FragmentMap::kLinear / 2 + 2 * p, lane, b[0], b[1]);
    load_pair(groups, FragmentMap::kLinear / 2 + 2 * p + 1, lane, b[2], b[3]);
    const uint4 f = *stash.features(p);
    const uint2 x = reinterpret_cast<const uint2*>(stash.features4(p))[p % 2];
    const Half2 main[4] = {f.x, f.y, f.z, f.w}, channel4[4] = {x.x, x.y, 0, 0};
    mma_f32(logits[0], main, b[0]);
    mma_f32(logits[1], main, b[1]);
    mma_f32(logits[0], channel4, b[2]);
    mma_f32(logits[1], channel4, b[3]);
  }
}

/// Class of fragment row r (sample g + 8r), known to all four lanes of the quad; lowest index of
/// equals, −1 where a logit is NaN.
SMOOTHCERT_LEAF int quad_vote(const float (&logits)[2][4], int r, int t) {
  float best = logits[0][2 * r];
  int vote = 2 * t;
  bool nan = false;
  SMOOTHCERT_UNROLL
  for (int i = 0; i < 4; ++i) {
    const float v = logits[i / 2][2 * r + i % 2];
    nan = nan || v != v;
    if (v > best) {
      best = v;
      vote = 8 * (i / 2) + 2 * t + i % 2;
    }
  }
  if (nan) {
    best = INFINITY;
    vote = -1;
  }
  SMOOTHCERT_UNROLL
  for (int m = 1; m < 4; m <<= 1) {
    const float other = __shfl_xor_sync(0xffffffffu, best, m);
    const int other_vote = __shfl_xor_sync(0xffffffffu, vote, m);
    if (other > best || (other == best && other_vote < vote)) {
      best = other;
      vote = other_vote;
    }
  }
  return vote;
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
