// Convolution and linear layers over lanes: register tiles of output channels × positions. The
// order of the taps is fixed for each output; which outputs are worked on together is free.
#pragma once

#include "cpu/lane_kernels.hpp"
#include "cpu/lanes.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kPoolRows = 2, kWide = 4;
#else
constexpr int kPoolRows = 1, kWide = 2;
#endif

/// Which taps of a window lie inside the input.
struct TapRange {
  int ky0, ky1, kx0, kx1;
};

/// acc[o][p] over all taps of `taps`, for Rows × Columns neighbouring positions whose first window
/// starts at `in` (which may point before the input where taps are skipped). Full: taps is all.
template <int Out, int Rows, int Columns, bool Full>
SMOOTHCERT_HD void accumulate(const ConvStep& s, const float* weights, const float* bias,
                              const float* in, TapRange taps, Lanes (&acc)[Out][Rows * Columns]) {
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Rows * Columns; ++p) acc[o][p] = broadcast(bias[o]);
  const int k = s.kernel;
  const std::size_t row = s.in_y * static_cast<std::size_t>(s.stride);
  const std::size_t column = s.in_x * static_cast<std::size_t>(s.stride);
  const int ky0 = Full ? 0 : taps.ky0, ky1 = Full ? k : taps.ky1;
  const int kx0 = Full ? 0 : taps.kx0, kx1 = Full ? k : taps.kx1;
  const float* w = weights;
  for (int c = 0; c < s.in_channels; ++c) {
    for (int ky = ky0; ky < ky1; ++ky) {
      if (!Full) w = weights + static_cast<std::size_t>((c * k + ky) * k + kx0) * Out;
      const float* x = in + static_cast<std::size_t>(c) * s.in_c +
                       static_cast<std::size_t>(ky) * s.in_y +
                       static_cast<std::size_t>(kx0) * s.in_x;
      for (int kx = kx0; kx < kx1; ++kx) {
        Lanes v[Rows * Columns];
        for (int p = 0; p < Rows * Columns; ++p)
          v[p] = load(x + static_cast<std::size_t>(p / Columns) * row +
                      static_cast<std::size_t>(p % Columns) * column);
        for (int o = 0; o < Out; ++o)
          for (int p = 0; p < Rows * Columns; ++p) acc[o][p] = fma(w[o], v[p], acc[o][p]);
        w += Out;
        x += s.in_x;
      }
    }
  }
}

SMOOTHCERT_HD Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

SMOOTHCERT_HD Lanes post_process(const ConvStep& s, int channel, Lanes x) {
  for (int i = 0; i < s.post_ops; ++i) {
    const PostOp& op = s.post[i];
    if (op.scale == nullptr)
      x = Lanes{} > x ? Lanes{} : x;
    else
      x = fma(x, broadcast(op.scale[channel]), broadcast(op.shift[channel]));
  }
  return x;
}

/// Everything one block of output channels needs.
struct Block {
  const float* weights;
  int first;  ///< its first output channel
};

/// First tap position, possibly outside, of convolution output (y, x).
struct Window {
  int y, x;
};
SMOOTHCERT_HD Window window_of(const ConvStep& s, int y, int x) {
  return {y * s.stride - s.padding, x * s.stride - s.padding};
}
SMOOTHCERT_HD const float* input_at(const ConvStep& s, const float* in, Window w) {
  return in + static_cast<std::ptrdiff_t>(w.y) * static_cast<std::ptrdiff_t>(s.in_y) +
         static_cast<std::ptrdiff_t>(w.x) * static_cast<std::ptrdiff_t>(s.in_x);
}
SMOOTHCERT_HD TapRange taps_inside(const ConvStep& s, Window w) {
  const int k = s.kernel;
  return {w.y < 0 ? -w.y : 0, w.y + k > s.in_height ? s.in_height - w.y : k, w.x < 0 ? -w.x : 0,
          w.x + k > s.in_width ? s.in_width - w.x : k};
}

/// Raw outputs of one position at the padded border, taps outside skipped.
template <int Out>
__attribute__((noinline)) void border_outputs(const ConvStep& s, const Block& b, const float* in,
                                              int y, int x, Lanes* out, int step) {
  Lanes acc[Out][1];
  const Window w = window_of(s, y, x);
  accumulate<Out, 1, 1, false>(s, b.weights, s.bias + b.first, input_at(s, in, w),
                               taps_inside(s, w), acc);
  for (int o = 0; o < Out; ++o) out[o * step] = acc[o][0];
}

template <int Out, int Rows, int Columns>
SMOOTHCERT_HD void tile_outputs(const ConvStep& s, const Block& b, const float* in, int y, int x,
                                bool inside, Lanes (&acc)[Out][Rows * Columns]) {
  if (__builtin_expect(inside, 1)) {
    accumulate<Out, Rows, Columns, true>(s, b.weights, s.bias + b.first,
                                         input_at(s, in, window_of(s, y, x)), TapRange{}, acc);
    return;
  }
  for (int p = 0; p < Rows * Columns; ++p)
    border_outputs<Out>(s, b, in, y + p / Columns, x + p % Columns, &acc[0][p], Rows * Columns);
}

/// True where the windows of outputs y … y+rows−1 × x … x+columns−1 lie inside the input.
SMOOTHCERT_HD bool inside_input(const ConvStep& s, int y, int x, int rows, int columns) {
  if (s.padding == 0) return true;
  const Window first = window_of(s, y, x);
  const Window last = window_of(s, y + rows - 1, x + columns - 1);
  return first.y >= 0 && first.x >= 0 && last.y + s.kernel <= s.in_height &&
         last.x + s.kernel <= s.in_width;
}

/// One pooled output: the largest of four convolution outputs, then the post-ops.
template <int Out>
SMOOTHCERT_HD void pooled_tile(const ConvStep& s, const Block& b, const float* in, float* out,
                               int y, int x) {
  Lanes best[Out];
  for (int row = 0; row < 2; row += kPoolRows) {
    Lanes acc[Out][kPoolRows * 2];
    tile_outputs<Out, kPoolRows, 2>(s, b, in, 2 * y + row, 2 * x,
                                    inside_input(s, 2 * y + row, 2 * x, kPoolRows, 2), acc);
    for (int o = 0; o < Out; ++o) {
      Lanes m = larger(acc[o][0], acc[o][1]);
      if (kPoolRows == 2)
        m = larger(m, larger(acc[o][kPoolRows * 2 - 2], acc[o][kPoolRows * 2 - 1]));
      best[o] = row == 0 ? m : larger(best[o], m);
    }
  }
  float* to = out + static_cast<std::size_t>(y) * s.out_y + static_cast<std::size_t>(x) * s.out_x;
  for (int o = 0; o < Out; ++o) {
    const int channel = b.first + o;
    Lanes v = best[o];
    if (s.sign != nullptr) v = v * broadcast(s.sign[channel]);
    store(to + static_cast<std::size_t>(channel) * s.out_c, post_process(s, channel, v));
  }
}

template <int Out, int Columns>
SMOOTHCERT_HD void plain_tile(const ConvStep& s, const Block& b, const float* in, float* out, int y,
                              int x) {
  Lanes acc[Out][Columns];
  tile_outputs<Out, 1, Columns>(s, b, in, y, x, inside_input(s, y, x, 1, Columns), acc);
  float* to = out + static_cast<std::size_t>(y) * s.out_y + static_cast<std::size_t>(x) * s.out_x;
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Columns; ++p)
      store(to + static_cast<std::size_t>(b.first + o) * s.out_c +
                static_cast<std::size_t>(p) * s.out_x,
            post_process(s, b.first + o, acc[o][p]));
}

/// One row of outputs for one block of channels.
template <int Out>
__attribute__((noinline)) void block_row(const ConvStep& s, const Block& b, const float* in,
                                         float* out, int y, int columns) {
  int x = 0;
  if (s.pool) {
    for (; x < columns; ++x) pooled_tile<Out>(s, b, in, out, y, x);
    return;
  }
  for (; x + kWide <= columns; x += kWide) plain_tile<Out, kWide>(s, b, in, out, y, x);
  for (; x < columns; ++x) plain_tile<Out, 1>(s, b, in, out, y, x);
}

void conv(const ConvStep& s, int columns, const float* in, float* out) {
  const std::size_t taps = static_cast<std::size_t>(s.in_channels) *
                           static_cast<std::size_t>(s.kernel) * static_cast<std::size_t>(s.kernel);
  const int even = s.out_channels / s.blocks, larger_blocks = s.out_channels % s.blocks;
  for (int y = 0; y < s.out_height; ++y) {
    Block b{s.weights, 0};
    for (int i = 0; i < s.blocks; ++i) {
      const int size = even + (i < larger_blocks ? 1 : 0);
      switch (size) {
        case 1:
          block_row<1>(s, b, in, out, y, columns);
          break;
        case 2:
          block_row<2>(s, b, in, out, y, columns);
          break;
        case 3:
          block_row<3>(s, b, in, out, y, columns);
          break;
        case 4:
          block_row<4>(s, b, in, out, y, columns);
          break;
        case 5:
          block_row<5>(s, b, in, out, y, columns);
          break;
        default:
          block_row<kMaxOutBlock>(s, b, in, out, y, columns);
          break;
      }
      b.weights += taps * static_cast<std::size_t>(size);
      b.first += size;
    }
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
