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

constexpr int kPoints = 6;  // of one axis: kWinogradTile outputs and the two that overlap

/// Bᵀd of six inputs of one axis, in the three pairs of points that share their terms: a half of
/// the tile's values fits in the registers at a time. at(i) gives input i.
template <int Pair, class At>
SMOOTHCERT_HD void transform_input(const At& at, Lanes& first, Lanes& second) {
  if constexpr (Pair == 0) {  // points 0 and 5
    first = fma(4.0f, at(0), fma(-5.0f, at(2), at(4)));
    second = fma(4.0f, at(1), fma(-5.0f, at(3), at(5)));
  } else if constexpr (Pair == 1) {  // points 1 and 2
    const Lanes a = fma(-4.0f, at(2), at(4)), b = fma(-4.0f, at(1), at(3));
    first = a + b;
    second = a - b;
  } else {  // points 3 and 4
    const Lanes a = at(4) - at(2), b = at(3) - at(1);
    first = fma(2.0f, b, a);
    second = fma(-2.0f, b, a);
  }
}
constexpr int kPairs[3][2] = {{0, 5}, {1, 2}, {3, 4}};

/// Aᵀm of six points of one axis: outputs 0 and 2, or 1 and 3.
template <int First, class At>
SMOOTHCERT_HD void transform_output(const At& at, Lanes& first, Lanes& second) {
  if constexpr (First == 0) {
    const Lanes a = at(1) + at(2), b = at(3) + at(4);
    first = (at(0) + a) + b;
    second = fma(4.0f, b, a);
  } else {
    const Lanes a = at(1) - at(2), b = at(3) - at(4);
    first = fma(2.0f, b, a);
    second = fma(8.0f, b, a) + at(5);
  }
}

/// Where a tile's 6×6 inputs are; rows outside [top, bottom) are zero.
struct InputTile {
  const float* corner;
  std::size_t row;
  int top, bottom;
};

/// One pair of columns of BᵀdB: along the rows first, then down the columns. Columns outside
/// [Left, Right) are zero.
template <int Pair, int Left, int Right>
SMOOTHCERT_HD void winograd_input_columns(const InputTile& tile, std::size_t point, float* values) {
  Lanes h[2][kPoints];
#pragma GCC unroll 6
  for (int y = 0; y < kPoints; ++y) {
    h[0][y] = h[1][y] = Lanes{};
    if (y < tile.top || y >= tile.bottom) continue;
    const float* row = tile.corner + static_cast<std::size_t>(y) * tile.row;
    transform_input<Pair>(
        [&](int x) { return x >= Left && x < Right ? load(row + x * kLanes) : Lanes{}; }, h[0][y],
        h[1][y]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const int x = kPairs[Pair][i];
    const auto put = [&](int y, Lanes v) {
      store(values + static_cast<std::size_t>(y * kPoints + x) * point, v);
    };
    const auto at = [&](int y) { return h[i][y]; };
    Lanes first, second;
    transform_input<0>(at, first, second);
    put(0, first);
    put(5, second);
    transform_input<1>(at, first, second);
    put(1, first);
    put(2, second);
    transform_input<2>(at, first, second);
    put(3, first);
    put(4, second);
  }
}

/// V[point][channel][tile] of one tile.
template <int Left, int Right>
__attribute__((noinline)) void winograd_inputs(int channels, std::size_t in_c, std::size_t point,
                                               std::size_t channel, InputTile tile, float* values) {
  for (int c = 0; c < channels; ++c, tile.corner += in_c, values += channel) {
    winograd_input_columns<0, Left, Right>(tile, point, values);
    winograd_input_columns<1, Left, Right>(tile, point, values);
    winograd_input_columns<2, Left, Right>(tile, point, values);
  }
}

void winograd_tile_inputs(const WinogradStep& w, const float* in, int tile, int stored,
                          float* values) {
  const ConvStep& s = w.conv;
  const int y0 = tile / w.tiles_x * kWinogradTile - s.padding;
  const int x0 = tile % w.tiles_x * kWinogradTile - s.padding;
  const auto end = [](int size, int first) {
    return size - first < kPoints ? size - first : kPoints;
  };
  const InputTile inputs{in +
                             static_cast<std::ptrdiff_t>(y0) * static_cast<std::ptrdiff_t>(s.in_y) +
                             static_cast<std::ptrdiff_t>(x0) * kLanes,
                         s.in_y, y0 < 0 ? -y0 : 0, end(s.in_height, y0)};
  using Inputs = void (*)(int, std::size_t, std::size_t, std::size_t, InputTile, float*);
  // The padding is one column at most, and a tile's first output reads two inside it.
  static constexpr Inputs kInputs[2][kPoints - 1] = {
      {winograd_inputs<0, 2>, winograd_inputs<0, 3>, winograd_inputs<0, 4>, winograd_inputs<0, 5>,
       winograd_inputs<0, 6>},
      {winograd_inputs<1, 2>, winograd_inputs<1, 3>, winograd_inputs<1, 4>, winograd_inputs<1, 5>,
       winograd_inputs<1, 6>}};
  kInputs[x0 < 0 ? 1 : 0][end(s.in_width, x0) - 2](s.in_channels, s.in_c, w.values_point,
                                                   static_cast<std::size_t>(stored) * kLanes,
                                                   inputs, values);
}

/// M[o][tile][point] = Σ over the channels of U[c][o] · V[c][tile], for one point.
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
    for (int t = 0; t < Count; ++t)
      store(sums + (o * stored + t) * kWinogradSums * kLanes, acc[o][t]);
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
    winograd_products<Out, 2>(channels, weights, values + t * kLanes, tiles,
                              sums + t * kWinogradSums * kLanes);
  if (t < tiles)
    winograd_products<Out, 1>(channels, weights, values + t * kLanes, tiles,
                              sums + t * kWinogradSums * kLanes);
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
    sums += size * tiles * kWinogradSums * kLanes;
  }
}

/// Two rows of a tile's outputs in channel `o`: M through Aᵀ·A, bias, post-ops.
template <int First>
SMOOTHCERT_HD void winograd_output_rows(const ConvStep& s, int o, const float* sums, int rows,
                                        int columns, const float* residual, float* out) {
  Lanes half[2][kPoints];
  for (int x = 0; x < kPoints; ++x)
    transform_output<First>([&](int y) { return load(sums + (y * kPoints + x) * kLanes); },
                            half[0][x], half[1][x]);
  const Lanes bias = broadcast(s.bias[o]);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const int row = First + 2 * i;
    if (row >= rows) return;
    const auto at = [&](int x) { return half[i][x]; };
    Lanes y[kWinogradTile];
    transform_output<0>(at, y[0], y[2]);
    transform_output<1>(at, y[1], y[3]);
    for (Lanes& v : y) v = v + bias;
    const std::size_t offset = static_cast<std::size_t>(row) * s.out_y;
#pragma GCC unroll 1
    for (int k = 0; k < s.post_ops; ++k) {
      const PostOp& op = s.post[k];
      if (op.add) {
        for (int x = 0; x < kWinogradTile; ++x)
          if (x < columns) y[x] = y[x] + load(residual + offset + x * kLanes);
      } else if (op.scale == nullptr) {
        for (Lanes& v : y) v = Lanes{} > v ? Lanes{} : v;
      } else {
        const Lanes scale = broadcast(op.scale[o]), shift = broadcast(op.shift[o]);
        for (Lanes& v : y) v = fma(v, scale, shift);
      }
    }
    for (int x = 0; x < kWinogradTile; ++x)
      if (x < columns) store(out + offset + x * kLanes, y[x]);
  }
}

/// Outputs of one tile in all channels.
__attribute__((noinline)) void winograd_outputs(const WinogradStep& w, const float* sums, int tile,
                                                int tiles, const float* residual, float* out) {
  const ConvStep& s = w.conv;
  const int y0 = tile / w.tiles_x * kWinogradTile, x0 = tile % w.tiles_x * kWinogradTile;
  const int rows = s.out_height - y0 < kWinogradTile ? s.out_height - y0 : kWinogradTile;
  const int columns = s.out_width - x0 < kWinogradTile ? s.out_width - x0 : kWinogradTile;
  const std::size_t at =
      static_cast<std::size_t>(y0) * s.out_y + static_cast<std::size_t>(x0) * kLanes;
  out += at;
  if (residual != nullptr) residual += at;
  for (int o = 0; o < s.out_channels; ++o, sums += tiles * kWinogradSums * kLanes) {
    winograd_output_rows<0>(s, o, sums, rows, columns, residual, out);
    winograd_output_rows<1>(s, o, sums, rows, columns, residual, out);
    out += s.out_c;
    if (residual != nullptr) residual += s.out_c;
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
    for (int t = 0; t < tiles; ++t)
      winograd_tile_inputs(w, in, first + t, tiles, scratch + t * kLanes);
    for (int point = 0; point < kWinogradPoints; ++point)
      winograd_point(s, s.weights + static_cast<std::size_t>(point) * weights_point,
                     scratch + static_cast<std::size_t>(point) * w.values_point, tiles,
                     sums + point * kLanes);
    for (int t = 0; t < tiles; ++t)
      winograd_outputs(w, sums + t * kWinogradSums * kLanes, first + t, tiles, residual, out);
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
