// Weight gradients over lanes: register tiles of output channels × taps (or × inputs) that walk
// the positions (or the lane groups), summed across lanes once at the end.
//
// A tile of Out × Taps accumulators loads Out gradients and Taps inputs per position for Out·Taps
// multiply-adds: 5×5 on AVX-512 (25 accumulators, 5 gradients and 1 input in 32 registers), 2×5 on
// AVX2 (13 of 16).
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/train_kernels.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kMaxTaps = 5, kTileOut = 5, kLinearOut = 4, kLinearIn = 6;
#else
constexpr int kMaxTaps = 5, kTileOut = 2, kLinearOut = 2, kLinearIn = 5;
#endif

/// Σ over lanes, by halves: the same order always.
SMOOTHCERT_HD float sum_lanes(Lanes x) {
  alignas(64) float lane[kLanes];
  store(lane, x);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
  return lane[0];
}

/// Out output channels from `o`, Taps taps of row ky from kx, input channel c.
template <int Out, int Taps>
__attribute__((noinline)) void conv_weight_tile(const ConvWeightStep& s, const float* in,
                                                const float* grad, int o, int c, int ky, int kx,
                                                float* weights) {
  const auto plane =
      static_cast<std::size_t>(s.out_height) * static_cast<std::size_t>(s.out_width) * kLanes;
  const std::size_t next = static_cast<std::size_t>(s.stride) * kLanes;
  const float* g = grad + static_cast<std::size_t>(o) * plane;
  Lanes acc[Out][Taps] = {};
  for (int y = 0; y < s.out_height; ++y) {
    const std::size_t row = (static_cast<std::size_t>(c) * static_cast<std::size_t>(s.in_height) +
                             static_cast<std::size_t>(y * s.stride + ky)) *
                            static_cast<std::size_t>(s.in_width);
    const float* x = in + (row + static_cast<std::size_t>(kx)) * kLanes;
#pragma GCC unroll 1
    for (int i = 0; i < s.out_width; ++i, x += next, g += kLanes) {
      Lanes v[Out];
      for (int a = 0; a < Out; ++a) v[a] = load(g + static_cast<std::size_t>(a) * plane);
      for (int t = 0; t < Taps; ++t) {
        const Lanes tap = load(x + t * kLanes);
        for (int a = 0; a < Out; ++a) acc[a][t] = fma(v[a], tap, acc[a][t]);
      }
    }
  }
  for (int a = 0; a < Out; ++a) {
    const std::size_t row =
        (static_cast<std::size_t>(o + a) * static_cast<std::size_t>(s.in_channels) +
         static_cast<std::size_t>(c)) *
            static_cast<std::size_t>(s.kernel) +
        static_cast<std::size_t>(ky);
    for (int t = 0; t < Taps; ++t)
      weights[row * static_cast<std::size_t>(s.kernel) + static_cast<std::size_t>(kx + t)] =
          sum_lanes(acc[a][t]);
  }
}

using ConvWeightTile = void (*)(const ConvWeightStep&, const float*, const float*, int, int, int,
                                int, float*);
template <int Out>
SMOOTHCERT_HD ConvWeightTile conv_weight_tile_of(int taps) {
  constexpr ConvWeightTile tiles[kMaxTaps] = {conv_weight_tile<Out, 1>, conv_weight_tile<Out, 2>,
                                              conv_weight_tile<Out, 3>, conv_weight_tile<Out, 4>,
                                              conv_weight_tile<Out, 5>};
  return tiles[taps - 1];
}
SMOOTHCERT_HD ConvWeightTile conv_weight_tile_of(int out, int taps) {
#if defined(__AVX512F__)
  if (out == 5) return conv_weight_tile_of<5>(taps);
  if (out == 4) return conv_weight_tile_of<4>(taps);
  if (out == 3) return conv_weight_tile_of<3>(taps);
#endif
  return out == 2 ? conv_weight_tile_of<2>(taps) : conv_weight_tile_of<1>(taps);
}

void conv_weights(const ConvWeightStep& s, const float* in, const float* grad, float* weights) {
  for (int o = 0; o < s.out_channels; o += kTileOut) {
    const int out = s.out_channels - o < kTileOut ? s.out_channels - o : kTileOut;
    for (int c = 0; c < s.in_channels; ++c)
      for (int ky = 0; ky < s.kernel; ++ky)
        for (int kx = 0; kx < s.kernel; kx += kMaxTaps) {
          const int taps = s.kernel - kx < kMaxTaps ? s.kernel - kx : kMaxTaps;
          conv_weight_tile_of(out, taps)(s, in, grad, o, c, ky, kx, weights);
        }
  }
}

void channel_sums(std::size_t channels, std::size_t area, const float* grad, float* sums) {
  for (std::size_t c = 0; c < channels; ++c) {
    Lanes sum[2] = {};
    for (std::size_t i = 0; i < area; ++i, grad += kLanes) sum[i % 2] = sum[i % 2] + load(grad);
    sums[c] = sum_lanes(sum[0] + sum[1]);
  }
}

template <int Out, int In>
__attribute__((noinline)) void linear_weight_tile(const LinearWeightStep& s, int o, int i,
                                                  float* weights) {
  const float* x = s.in + static_cast<std::size_t>(i) * kLanes;
  const float* g = s.grad + static_cast<std::size_t>(o) * kLanes;
  Lanes acc[Out][In] = {};
#pragma GCC unroll 1
  for (int group = 0; group < s.groups; ++group, x += s.in_group, g += s.grad_group) {
    Lanes v[In];
    for (int b = 0; b < In; ++b) v[b] = load(x + b * kLanes);
    for (int a = 0; a < Out; ++a) {
      const Lanes d = load(g + a * kLanes);
      for (int b = 0; b < In; ++b) acc[a][b] = fma(d, v[b], acc[a][b]);
    }
  }
  for (int a = 0; a < Out; ++a)
    for (int b = 0; b < In; ++b) {
      float& w = weights[static_cast<std::size_t>(o + a) * static_cast<std::size_t>(s.inputs) +
                         static_cast<std::size_t>(i + b)];
      const float sum = sum_lanes(acc[a][b]);
      w = s.accumulate ? w + sum : sum;
    }
}

template <int Out>
SMOOTHCERT_HD void linear_weight_rows(const LinearWeightStep& s, int o, float* weights) {
  int i = 0;
  for (; i + kLinearIn <= s.inputs; i += kLinearIn)
    linear_weight_tile<Out, kLinearIn>(s, o, i, weights);
  for (; i < s.inputs; ++i) linear_weight_tile<Out, 1>(s, o, i, weights);
}

void linear_weights(const LinearWeightStep& s, float* weights) {
  int o = s.first;
  for (; o + kLinearOut <= s.last; o += kLinearOut) linear_weight_rows<kLinearOut>(s, o, weights);
  for (; o < s.last; ++o) linear_weight_rows<1>(s, o, weights);
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
