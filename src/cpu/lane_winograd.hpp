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
constexpr int kPairs[3][2] = {{kWinogradColumns[0], kWinogradColumns[1]},
                              {kWinogradColumns[2], kWinogradColumns[3]},
                              {kWinogradColumns[4], kWinogradColumns[5]}};

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

/// Where a tile's 6×6 inputs are; those outside [top, bottom) × [left, right) are zero.
struct InputTile {
  const float* corner;
  std::size_t row;
  int top, bottom, left, right;
};

/// The columns as a template knows them; kAny: as the tile says.
constexpr int kAny = -1;

/// Where one pair of columns of a tile's points goes: vectors `row` apart down a column, `channel`
/// apart from one channel to the next.
struct InputColumns {
  float *first, *second;
  std::size_t row, channel;
};

/// A pair of columns of BᵀdB in all channels: along the rows first, then down the columns. Inputs
/// in columns outside [Left, Right) are zero.
template <int Pair, int Left, int Right>
__attribute__((noinline)) void winograd_inputs(int channels, std::size_t in_c, InputTile tile,
                                               InputColumns to) {
  for (int c = 0; c < channels; ++c, tile.corner += in_c) {
    Lanes h[2][kPoints];
#pragma GCC unroll 6
    for (int y = 0; y < kPoints; ++y) {
      h[0][y] = h[1][y] = Lanes{};
      if (y < tile.top || y >= tile.bottom) continue;
      const float* row = tile.corner + static_cast<std::size_t>(y) * tile.row;
      transform_input<Pair>(
          [&](int x) {
            const int left = Left == kAny ? tile.left : Left;
            const int right = Right == kAny ? tile.right : Right;
            return x >= left && x < right ? load(row + x * kLanes) : Lanes{};
          },
          h[0][y], h[1][y]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      float* column = i == 0 ? to.first : to.second;
      const auto put = [&](int y, Lanes v) {
        store(column + static_cast<std::size_t>(y) * to.row, v);
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
    to.first += to.channel;
    to.second += to.channel;
  }
}

template <int Pair>
void winograd_pair(const WinogradStep& w, const float* in, int tile, InputColumns to) {
  const ConvStep& s = w.conv;
  const int y0 = tile / w.tiles_x * kWinogradTile - s.padding;
  const int x0 = tile % w.tiles_x * kWinogradTile - s.padding;
  const auto end = [](int size, int first) {
    return size - first < kPoints ? size - first : kPoints;
  };
  const InputTile inputs{in +
                             static_cast<std::ptrdiff_t>(y0) * static_cast<std::ptrdiff_t>(s.in_y) +
                             static_cast<std::ptrdiff_t>(x0) * kLanes,
                         s.in_y,
                         y0 < 0 ? -y0 : 0,
                         end(s.in_height, y0),
                         x0 < 0 ? -x0 : 0,
                         end(s.in_width, x0)};
#if defined(__AVX2__)
  using Inputs = void (*)(int, std::size_t, InputTile, InputColumns);
  // The padding is one column at most, and a tile's first output reads two inside it.
  static constexpr Inputs kInputs[2][kPoints - 1] = {
      {winograd_inputs<Pair, 0, 2>, winograd_inputs<Pair, 0, 3>, winograd_inputs<Pair, 0, 4>,
       winograd_inputs<Pair, 0, 5>, winograd_inputs<Pair, 0, 6>},
      {winograd_inputs<Pair, 1, 2>, winograd_inputs<Pair, 1, 3>, winograd_inputs<Pair, 1, 4>,
       winograd_inputs<Pair, 1, 5>, winograd_inputs<Pair, 1, 6>}};
  kInputs[inputs.left][inputs.right - 2](s.in_channels, s.in_c, inputs, to);
#else
  winograd_inputs<Pair, kAny, kAny>(s.in_channels, s.in_c, inputs, to);
#endif
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

/// Where a tile's outputs are in the first channel, and how many are wanted.
struct OutputTile {
  const float* residual;
  float* out;
  int rows, columns;
};
SMOOTHCERT_HD OutputTile output_tile(const WinogradStep& w, int tile, const float* residual,
                                     float* out) {
  const ConvStep& s = w.conv;
  const int y0 = tile / w.tiles_x * kWinogradTile, x0 = tile % w.tiles_x * kWinogradTile;
  const std::size_t at =
      static_cast<std::size_t>(y0) * s.out_y + static_cast<std::size_t>(x0) * kLanes;
  const auto end = [](int size, int first) {
    return size - first < kWinogradTile ? size - first : kWinogradTile;
  };
  return {residual == nullptr ? nullptr : residual + at, out + at, end(s.out_height, y0),
          end(s.out_width, x0)};
}
SMOOTHCERT_HD void next_channel(const ConvStep& s, OutputTile& tile) {
  tile.out += s.out_c;
  if (tile.residual != nullptr) tile.residual += s.out_c;
}

/// A row of a tile's outputs in channel `o` from its six half-transformed sums: bias, post-ops.
template <class At>
SMOOTHCERT_HD void winograd_row(const ConvStep& s, int o, int row, const OutputTile& tile,
                                const At& at) {
  Lanes y[kWinogradTile];
  transform_output<0>(at, y[0], y[2]);
  transform_output<1>(at, y[1], y[3]);
  const Lanes bias = broadcast(s.bias[o]);
  for (Lanes& v : y) v = v + bias;
  const std::size_t offset = static_cast<std::size_t>(row) * s.out_y;
#pragma GCC unroll 1
  for (int k = 0; k < s.post_ops; ++k) {
    const PostOp& op = s.post[k];
    if (op.add) {
      for (int x = 0; x < kWinogradTile; ++x)
        if (x < tile.columns) y[x] = y[x] + load(tile.residual + offset + x * kLanes);
    } else if (op.scale == nullptr) {
      for (Lanes& v : y) v = Lanes{} > v ? Lanes{} : v;
    } else {
      const Lanes scale = broadcast(op.scale[o]), shift = broadcast(op.shift[o]);
      for (Lanes& v : y) v = fma(v, scale, shift);
    }
  }
  for (int x = 0; x < kWinogradTile; ++x)
    if (x < tile.columns) store(tile.out + offset + x * kLanes, y[x]);
}

/// Two rows of a tile's outputs in channel `o` from its sums.
template <int First>
SMOOTHCERT_HD void winograd_rows(const ConvStep& s, int o, const float* sums,
                                 const OutputTile& tile) {
  Lanes half[2][kPoints];
  for (int x = 0; x < kPoints; ++x)
    transform_output<First>([&](int y) { return load(sums + (y * kPoints + x) * kLanes); },
                            half[0][x], half[1][x]);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i)
    if (First + 2 * i < tile.rows)
      winograd_row(s, o, First + 2 * i, tile, [&](int x) { return half[i][x]; });
}

/// Outputs of one tile in all channels.
__attribute__((noinline)) void winograd_outputs(const ConvStep& s, const float* sums, int tiles,
                                                OutputTile tile) {
  for (int o = 0; o < s.out_channels; ++o, sums += tiles * kWinogradSums * kLanes) {
    winograd_rows<0>(s, o, sums, tile);
    winograd_rows<1>(s, o, sums, tile);
    next_channel(s, tile);
  }
}

/// Inputs of the next tile, which are fetched while this one's products run: one vector a channel.
/// Addresses, since some lie outside the input.
struct Ahead {
  std::uintptr_t at;
  std::size_t channel;
};

/// One column of points of Out channels: sums over the channels, and Aᵀ down the column while they
/// are in registers. half[o][row][x]; values[c][y], weights[c][y][o].
template <int Out>
__attribute__((noinline)) void winograd_column(int channels, const float* weights,
                                               const float* values, Ahead ahead, float* half) {
  Lanes acc[Out][kPoints] = {};
#pragma GCC unroll 1
  for (int c = 0; c < channels; ++c, weights += kPoints * Out, values += kPoints * kLanes) {
    __builtin_prefetch(reinterpret_cast<const void*>(ahead.at), 0, 2);
    ahead.at += ahead.channel;
    for (int y = 0; y < kPoints; ++y) {
      const Lanes v = load(values + y * kLanes);
      for (int o = 0; o < Out; ++o) acc[o][y] = fma(weights[y * Out + o], v, acc[o][y]);
    }
  }
  for (int o = 0; o < Out; ++o, half += kWinogradTile * kPoints * kLanes) {
    const auto at = [&](int y) { return acc[o][y]; };
    Lanes first, second;
    transform_output<0>(at, first, second);
    store(half, first);
    store(half + 2 * kPoints * kLanes, second);
    transform_output<1>(at, first, second);
    store(half + kPoints * kLanes, first);
    store(half + 3 * kPoints * kLanes, second);
  }
}

/// All output channels of one column of points; returns the weights after it.
const float* winograd_columns(const WinogradStep& w, const float* weights, const float* values,
                              Ahead ahead, float* half) {
  const ConvStep& s = w.conv;
  const int even = s.out_channels / s.blocks, larger_blocks = s.out_channels % s.blocks;
  for (int i = 0; i < s.blocks; ++i) {
    const int size = even + (i < larger_blocks ? 1 : 0);
    switch (size) {
      case 1:
        winograd_column<1>(s.in_channels, weights, values, ahead, half);
        break;
#if defined(__AVX512F__)
      case 2:
        winograd_column<2>(s.in_channels, weights, values, ahead, half);
        break;
      case 3:
        winograd_column<3>(s.in_channels, weights, values, ahead, half);
        break;
#endif
      default:
        winograd_column<winograd_outputs_at_once(kLanes)>(s.in_channels, weights, values, ahead,
                                                          half);
        break;
    }
    if (i < kWinogradTile) ahead.at += kLanes * sizeof(float);
    weights += s.in_channels * kPoints * size;
    half += size * kWinogradTile * kPoints * kLanes;
  }
  return weights;
}

/// Tile by tile, two columns of points at a time: what is between input and output stays in L1.
void winograd_by_tile(const WinogradStep& w, const float* in, const float* residual, float* out,
                      float* scratch) {
  const ConvStep& s = w.conv;
  const auto column = static_cast<std::size_t>(s.in_channels * kPoints) * kLanes;
  float* half = scratch + 2 * column;
  const InputColumns to{scratch, scratch + column, kLanes, kPoints * kLanes};
  for (int tile = 0; tile < w.tiles_x * w.tiles_y; ++tile) {
    const float* weights = s.weights;
    // A column of points fetches a row of the next tile, without the two columns that are here.
    const int next = tile + 1, y0 = next / w.tiles_x * kWinogradTile - s.padding;
    const int x0 = next % w.tiles_x * kWinogradTile - s.padding + 2;
    Ahead ahead{reinterpret_cast<std::uintptr_t>(in) +
                    static_cast<std::uintptr_t>(y0 * static_cast<std::ptrdiff_t>(s.in_y) +
                                                x0 * static_cast<std::ptrdiff_t>(kLanes)) *
                        sizeof(float),
                s.in_c * sizeof(float)};
    for (int pair = 0; pair < 3; ++pair) {
      if (pair == 0)
        winograd_pair<0>(w, in, tile, to);
      else if (pair == 1)
        winograd_pair<1>(w, in, tile, to);
      else
        winograd_pair<2>(w, in, tile, to);
      for (int i = 0; i < 2; ++i, ahead.at += s.in_y * sizeof(float))
        weights = winograd_columns(w, weights, scratch + static_cast<std::size_t>(i) * column,
                                   ahead, half + kPairs[pair][i] * kLanes);
    }
    OutputTile to_tile = output_tile(w, tile, residual, out);
    const float* sums = half;
    for (int o = 0; o < s.out_channels; ++o, sums += kWinogradTile * kPoints * kLanes) {
      for (int row = 0; row < to_tile.rows; ++row)
        winograd_row(s, o, row, to_tile,
                     [&](int x) { return load(sums + (row * kPoints + x) * kLanes); });
      next_channel(s, to_tile);
    }
  }
}

void winograd_conv(const WinogradStep& w, const float* in, const float* residual, float* out,
                   float* scratch) {
  if (w.by_tile) return winograd_by_tile(w, in, residual, out, scratch);
  const ConvStep& s = w.conv;
  float* sums = scratch + kWinogradPoints * w.values_point;
  const int all = w.tiles_x * w.tiles_y;
  const auto weights_point =
      static_cast<std::size_t>(s.in_channels) * static_cast<std::size_t>(s.out_channels);
  for (int first = 0; first < all; first += kWinogradTiles) {
    const int tiles = all - first < kWinogradTiles ? all - first : kWinogradTiles;
    for (int t = 0; t < tiles; ++t) {
      float* to = scratch + t * kLanes;
      const auto columns = [&](int pair) {
        return InputColumns{to + static_cast<std::size_t>(kPairs[pair][0]) * w.values_point,
                            to + static_cast<std::size_t>(kPairs[pair][1]) * w.values_point,
                            kPoints * w.values_point, static_cast<std::size_t>(tiles) * kLanes};
      };
      winograd_pair<0>(w, in, first + t, columns(0));
      winograd_pair<1>(w, in, first + t, columns(1));
      winograd_pair<2>(w, in, first + t, columns(2));
    }
    for (int point = 0; point < kWinogradPoints; ++point)
      winograd_point(s, s.weights + static_cast<std::size_t>(point) * weights_point,
                     scratch + static_cast<std::size_t>(point) * w.values_point, tiles,
                     sums + point * kLanes);
    for (int t = 0; t < tiles; ++t)
      winograd_outputs(s, sums + t * kWinogradSums * kLanes, tiles,
                       output_tile(w, first + t, residual, out));
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
