// 3×3 convolutions of fast mode over lanes: Winograd's F(4×4, 3×3) (Lavin & Gray 2016), 36 products
// for 16 outputs instead of 144. With one sample per lane the transforms are plain arithmetic on
// vectors. The order of every operation is fixed and no lane meets another, so that the values are
// the same on every instruction set.
#pragma once

#include "cpu/lane_kernels.hpp"
#include "cpu/lanes.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

constexpr int kPoints = 6;  // of one axis; kWinogradTile outputs and the two that overlap

/// Bᵀd: six inputs of one axis.
SMOOTHCERT_HD void transform_input(const Lanes (&d)[kPoints], Lanes (&v)[kPoints]) {
  const Lanes a = fma(-4.0f, d[2], d[4]), b = fma(-4.0f, d[1], d[3]);
  const Lanes c = d[4] - d[2], e = d[3] - d[1];
  v[0] = fma(4.0f, d[0], fma(-5.0f, d[2], d[4]));
  v[1] = a + b;
  v[2] = a - b;
  v[3] = fma(2.0f, e, c);
  v[4] = fma(-2.0f, e, c);
  v[5] = fma(4.0f, d[1], fma(-5.0f, d[3], d[5]));
}

/// Aᵀm: four outputs of one axis.
SMOOTHCERT_HD void transform_output(const Lanes (&m)[kPoints], Lanes (&y)[kWinogradTile]) {
  const Lanes a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  y[0] = (m[0] + a) + c;
  y[1] = fma(2.0f, d, b);
  y[2] = fma(4.0f, c, a);
  y[3] = fma(8.0f, d, b) + m[5];
}

/// V[point][channel][tile] of neighbouring tiles in one row of tiles. Columns are transformed once
/// for all tiles that they belong to.
__attribute__((noinline)) void winograd_inputs(const WinogradStep& w, const float* in, int tile_y,
                                               int tile_x, int count, int stored, float* values) {
  const ConvStep& s = w.conv;
  const int y0 = tile_y * kWinogradTile - s.padding, x0 = tile_x * kWinogradTile - s.padding;
  const int columns = count * kWinogradTile + 2;
  const int left = x0 < 0 ? -x0 : 0;
  const int right = x0 + columns > s.in_width ? s.in_width - x0 : columns;
  alignas(64) float column[kPoints][(kWinogradTiles * kWinogradTile + 2) * kLanes];
  for (int y = 0; y < kPoints; ++y)
    for (int x = 0; x < columns; ++x)
      if (x < left || x >= right) store(column[y] + x * kLanes, Lanes{});
  const bool inside = y0 >= 0 && y0 + kPoints <= s.in_height;
  const float* corner = in + static_cast<std::ptrdiff_t>(y0) * static_cast<std::ptrdiff_t>(s.in_y) +
                        static_cast<std::ptrdiff_t>(x0) * kLanes;
  for (int c = 0; c < s.in_channels; ++c, corner += s.in_c, values += stored * kLanes) {
    for (int x = left; x < right; ++x) {
      Lanes d[kPoints], v[kPoints];
      const float* from = corner + x * kLanes;
      for (int y = 0; y < kPoints; ++y, from += s.in_y)
        d[y] = inside || (y0 + y >= 0 && y0 + y < s.in_height) ? load(from) : Lanes{};
      transform_input(d, v);
      for (int y = 0; y < kPoints; ++y) store(column[y] + x * kLanes, v[y]);
    }
    for (int y = 0; y < kPoints; ++y)
      for (int t = 0; t < count; ++t) {
        Lanes d[kPoints], v[kPoints];
        for (int x = 0; x < kPoints; ++x) d[x] = load(column[y] + (t * kWinogradTile + x) * kLanes);
        transform_input(d, v);
        float* to = values + t * kLanes + static_cast<std::size_t>(y * kPoints) * w.values_point;
        for (int x = 0; x < kPoints; ++x, to += w.values_point) store(to, v[x]);
      }
  }
}

/// M[o][tile] = Σ over the channels of U[c][o] · V[c][tile], for one point.
template <int Out, int Count>
__attribute__((noinline)) void winograd_products(int channels, const float* weights,
                                                 const float* values, int stored, float* sums) {
  Lanes acc[Out][Count] = {};
#pragma GCC unroll 1
  for (int c = 0; c < channels; ++c, weights += Out, values += stored * kLanes) {
    Lanes v[Count];
    for (int t = 0; t < Count; ++t) v[t] = load(values + t * kLanes);
    for (int o = 0; o < Out; ++o)
      for (int t = 0; t < Count; ++t) acc[o][t] = fma(weights[o], v[t], acc[o][t]);
  }
  for (int o = 0; o < Out; ++o)
    for (int t = 0; t < Count; ++t) store(sums + (o * stored + t) * kLanes, acc[o][t]);
}

template <int Out>
SMOOTHCERT_HD void winograd_block(int channels, const float* weights, const float* values,
                                  int tiles, float* sums) {
  int t = 0;
#if defined(__AVX512F__)
  if (tiles == 4) return winograd_products<Out, 4>(channels, weights, values, tiles, sums);
  if (tiles == 3) return winograd_products<Out, 3>(channels, weights, values, tiles, sums);
#endif
  for (; t + 2 <= tiles; t += 2)
    winograd_products<Out, 2>(channels, weights, values + t * kLanes, tiles, sums + t * kLanes);
  if (t < tiles)
    winograd_products<Out, 1>(channels, weights, values + t * kLanes, tiles, sums + t * kLanes);
}

void winograd_point(const ConvStep& s, const float* weights, const float* values, int tiles,
                    float* sums) {
  const int even = s.out_channels / s.blocks, larger_blocks = s.out_channels % s.blocks;
  for (int i = 0; i < s.blocks; ++i) {
    const int size = even + (i < larger_blocks ? 1 : 0);
    switch (size) {
      case 1:
        winograd_block<1>(s.in_channels, weights, values, tiles, sums);
        break;
      case 2:
        winograd_block<2>(s.in_channels, weights, values, tiles, sums);
        break;
      case 3:
        winograd_block<3>(s.in_channels, weights, values, tiles, sums);
        break;
      case 4:
        winograd_block<4>(s.in_channels, weights, values, tiles, sums);
        break;
      case 5:
        winograd_block<5>(s.in_channels, weights, values, tiles, sums);
        break;
      default:
        winograd_block<kMaxOutBlock>(s.in_channels, weights, values, tiles, sums);
        break;
    }
    weights += s.in_channels * size;
    sums += size * tiles * kLanes;
  }
}

/// Outputs of one tile in all channels: M through Aᵀ·A, bias, post-ops.
__attribute__((noinline)) void winograd_outputs(const WinogradStep& w, const float* sums, int tile,
                                                int tiles, const float* residual, float* out) {
  const ConvStep& s = w.conv;
  const int y0 = tile / w.tiles_x * kWinogradTile, x0 = tile % w.tiles_x * kWinogradTile;
  const int rows = s.out_height - y0 < kWinogradTile ? s.out_height - y0 : kWinogradTile;
  const int columns = s.out_width - x0 < kWinogradTile ? s.out_width - x0 : kWinogradTile;
  std::size_t at = static_cast<std::size_t>(y0) * s.out_y + static_cast<std::size_t>(x0) * kLanes;
  for (int o = 0; o < s.out_channels; ++o, sums += tiles * kLanes, at += s.out_c) {
    Lanes half[kWinogradTile][kPoints];
    for (int x = 0; x < kPoints; ++x) {
      Lanes m[kPoints], y[kWinogradTile];
      for (int i = 0; i < kPoints; ++i)
        m[i] = load(sums + static_cast<std::size_t>(i * kPoints + x) * w.sums_point);
      transform_output(m, y);
      for (int i = 0; i < kWinogradTile; ++i) half[i][x] = y[i];
    }
    const Lanes bias = broadcast(s.bias[o]);
    for (int i = 0; i < rows; ++i) {
      Lanes y[kWinogradTile];
      transform_output(half[i], y);
      const std::size_t row = at + static_cast<std::size_t>(i) * s.out_y;
      for (Lanes& v : y) v = v + bias;
#pragma GCC unroll 1
      for (int k = 0; k < s.post_ops; ++k) {
        const PostOp& op = s.post[k];
        if (op.add) {
          for (int x = 0; x < kWinogradTile; ++x)
            if (x < columns) y[x] = y[x] + load(residual + row + x * kLanes);
        } else if (op.scale == nullptr) {
          for (Lanes& v : y) v = Lanes{} > v ? Lanes{} : v;
        } else {
          const Lanes scale = broadcast(op.scale[o]), shift = broadcast(op.shift[o]);
          for (Lanes& v : y) v = fma(v, scale, shift);
        }
      }
      for (int x = 0; x < kWinogradTile; ++x)
        if (x < columns) store(out + row + x * kLanes, y[x]);
    }
  }
}

void winograd_conv(const WinogradStep& w, const float* in, const float* residual, float* out,
                   float* scratch) {
  const ConvStep& s = w.conv;
  float* sums = scratch + kWinogradPoints * w.values_point;
  const int all = w.tiles_x * w.tiles_y;
  const auto weights_point =
      static_cast<std::size_t>(s.in_channels) * static_cast<std::size_t>(s.out_channels);
  for (int first = 0; first < all; first += kWinogradTiles) {
    const int tiles = all - first < kWinogradTiles ? all - first : kWinogradTiles;
    for (int t = 0; t < tiles;) {  // as many as are in one row of tiles
      const int y = (first + t) / w.tiles_x, x = (first + t) % w.tiles_x;
      const int run = w.tiles_x - x < tiles - t ? w.tiles_x - x : tiles - t;
      winograd_inputs(w, in, y, x, run, tiles, scratch + t * kLanes);
      t += run;
    }
    for (int point = 0; point < kWinogradPoints; ++point)
      winograd_point(s, s.weights + static_cast<std::size_t>(point) * weights_point,
                     scratch + static_cast<std::size_t>(point) * w.values_point, tiles,
                     sums + static_cast<std::size_t>(point) * w.sums_point);
    for (int t = 0; t < tiles; ++t)
      winograd_outputs(w, sums + t * kLanes, first + t, tiles, residual, out);
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
