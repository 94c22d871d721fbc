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
constexpr int kMaxTaps = 5, kTileOut = 5, kLinearOut = 4, kLinearIn = 4;
#else
constexpr int kMaxTaps = 5, kTileOut = 2, kLinearOut = 2, kLinearIn = 4;
#endif

/// Lane j of the result holds sums of two neighbouring blocks of Span lanes: a's where bit Span of
/// j is clear, b's where it is set.
template <int Span>
SMOOTHCERT_HD Lanes fold(Lanes a, Lanes b) {
  IntLanes low{}, high{};
  for (int j = 0; j < kLanes; ++j) {
    low[j] = (j & Span) == 0 ? j : kLanes + j - Span;
    high[j] = (j & Span) == 0 ? j + Span : kLanes + j;
  }
  return __builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, high);
}

/// kLanes vectors → one: lane i = Σ of the lanes of v[i], two shuffles and an addition a vector.
SMOOTHCERT_HD Lanes sums_of_lanes(Lanes (&v)[kLanes]) {
  for (int i = 0; i < kLanes; i += 2) v[i / 2] = fold<1>(v[i], v[i + 1]);
  for (int i = 0; i < kLanes / 2; i += 2) v[i / 2] = fold<2>(v[i], v[i + 1]);
  for (int i = 0; i < kLanes / 4; i += 2) v[i / 2] = fold<4>(v[i], v[i + 1]);
#if defined(__AVX512F__)
  v[0] = fold<8>(v[0], v[1]);
#endif
  return v[0];
}

/// sums[i] = Σ of the lanes of acc[i]; sums has room for whole vectors.
template <int Count>
SMOOTHCERT_HD void sum_lanes(const Lanes* acc, float* sums) {
  for (int first = 0; first < Count; first += kLanes) {
    Lanes v[kLanes] = {};
    for (int i = 0; i < kLanes && first + i < Count; ++i) v[i] = acc[first + i];
    store(sums + first, sums_of_lanes(v));
  }
}
template <int Count>
constexpr int kRounded = (Count + kLanes - 1) / kLanes* kLanes;

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
  alignas(64) float sums[kRounded<Out * Taps>];
  sum_lanes<Out * Taps>(acc[0], sums);
  for (int a = 0; a < Out; ++a) {
    const std::size_t row =
        (static_cast<std::size_t>(o + a) * static_cast<std::size_t>(s.in_channels) +
         static_cast<std::size_t>(c)) *
            static_cast<std::size_t>(s.kernel) +
        static_cast<std::size_t>(ky);
    for (int t = 0; t < Taps; ++t)
      weights[row * static_cast<std::size_t>(s.kernel) + static_cast<std::size_t>(kx + t)] =
          sums[a * Taps + t];
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
    const Lanes both = sum[0] + sum[1];
    alignas(64) float lanes[kLanes];
    sum_lanes<1>(&both, lanes);
    sums[c] = lanes[0];
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
  alignas(64) float sums[kRounded<Out * In>];
  sum_lanes<Out * In>(acc[0], sums);
  for (int a = 0; a < Out; ++a)
    for (int b = 0; b < In; ++b) {
      float& w = weights[static_cast<std::size_t>(o + a) * static_cast<std::size_t>(s.inputs) +
                         static_cast<std::size_t>(i + b)];
      const float sum = sums[a * In + b];
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
