// Convolution and linear layers over lanes: register tiles of output channels × positions. The
// order of the taps is fixed for each output; which outputs are worked on together is free.
//
// The tile loops hold accumulators, inputs and one weight, and nothing else: the border and the
// post-ops live in functions of their own, or the compiler spills inside the loop over the taps.
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

/// One block of output channels.
struct Block {
  const float* weights;
  int first;  ///< its first output channel
};

/// First tap position of convolution output (y, x); outside the input where padded.
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
SMOOTHCERT_HD float* output_at(const ConvStep& s, float* out, int channel, int y, int x) {
  return out + static_cast<std::size_t>(channel) * s.out_c + static_cast<std::size_t>(y) * s.out_y +
         static_cast<std::size_t>(x) * s.out_x;
}

/// acc[o][p] for Rows × Columns neighbouring positions; `in` is the first one's window, all windows
/// inside the input. K: the kernel size, with stride 1 and dense columns where it is not 1 (a
/// linear layer's columns are lane groups); 0 for any size and stride.
template <int Out, int Rows, int Columns, int K>
SMOOTHCERT_HD void accumulate(const ConvStep& s, const Block& b, const float* in,
                              Lanes (&acc)[Out][Rows * Columns]) {
  const int k = K == 0 ? s.kernel : K;
  const std::size_t stride = K > 1 ? 1 : static_cast<std::size_t>(s.stride);
  const std::size_t next = K > 1 ? kLanes : s.in_x;
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Rows * Columns; ++p) acc[o][p] = broadcast(s.bias[b.first + o]);
  const float* w = b.weights;
  for (int c = 0; c < s.in_channels; ++c, in += s.in_c) {
    const float* row = in;
    for (int ky = 0; ky < k; ++ky, row += s.in_y) {
      const float* x = row;
#pragma GCC unroll 1
      for (int kx = 0; kx < k; ++kx, x += next, w += Out) {
        Lanes v[Rows * Columns];
        for (int p = 0; p < Rows * Columns; ++p)
          v[p] = load(x + static_cast<std::size_t>(p / Columns) * s.in_y * stride +
                      static_cast<std::size_t>(p % Columns) * next * stride);
        for (int o = 0; o < Out; ++o)
          for (int p = 0; p < Rows * Columns; ++p) acc[o][p] = fma(w[o], v[p], acc[o][p]);
      }
    }
  }
}

/// Raw outputs of one position at the padded border: taps outside the input are skipped.
template <int Out>
__attribute__((noinline)) void border_position(const ConvStep& s, const Block& b, const float* in,
                                               int y, int x, Lanes (&acc)[Out]) {
  const Window window = window_of(s, y, x);
  const int k = s.kernel;
  const int ky0 = window.y < 0 ? -window.y : 0, kx0 = window.x < 0 ? -window.x : 0;
  const int ky1 = window.y + k > s.in_height ? s.in_height - window.y : k;
  const int kx1 = window.x + k > s.in_width ? s.in_width - window.x : k;
  const float* corner = input_at(s, in, window);
  Lanes sum[Out];
  for (int o = 0; o < Out; ++o) sum[o] = broadcast(s.bias[b.first + o]);
  for (int c = 0; c < s.in_channels; ++c, corner += s.in_c)
    for (int ky = ky0; ky < ky1; ++ky) {
      const float* w = b.weights + static_cast<std::size_t>((c * k + ky) * k + kx0) * Out;
      const float* x_at =
          corner + static_cast<std::size_t>(ky) * s.in_y + static_cast<std::size_t>(kx0) * s.in_x;
      for (int kx = kx0; kx < kx1; ++kx, w += Out, x_at += s.in_x) {
        const Lanes v = load(x_at);
        for (int o = 0; o < Out; ++o) sum[o] = fma(w[o], v, sum[o]);
      }
    }
  for (int o = 0; o < Out; ++o) acc[o] = sum[o];
}

SMOOTHCERT_HD Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

/// The largest of the 2×2 convolution outputs under pooled output (y, x).
template <int Out, int K>
SMOOTHCERT_HD void pooled_tile(const ConvStep& s, const Block& b, const float* in, float* out,
                               int y, int x) {
  const float* corner = input_at(s, in, window_of(s, 2 * y, 2 * x));
  Lanes acc[Out][kPoolRows * 2];
  accumulate<Out, kPoolRows, 2, K>(s, b, corner, acc);
  for (int o = 0; o < Out; ++o) {
    Lanes best = larger(acc[o][0], acc[o][1]);
    if (kPoolRows == 2) best = larger(best, larger(acc[o][kPoolRows], acc[o][kPoolRows * 2 - 1]));
    store(output_at(s, out, b.first + o, y, x), best);
  }
  if (kPoolRows == 2) return;
  accumulate<Out, kPoolRows, 2, K>(s, b, corner + static_cast<std::size_t>(s.stride) * s.in_y, acc);
  for (int o = 0; o < Out; ++o) {
    float* to = output_at(s, out, b.first + o, y, x);
    store(to, larger(load(to), larger(acc[o][0], acc[o][1])));
  }
}

template <int Out, int Columns, int K>
SMOOTHCERT_HD void plain_tile(const ConvStep& s, const Block& b, const float* in, float* out, int y,
                              int x) {
  Lanes acc[Out][Columns];
  accumulate<Out, 1, Columns, K>(s, b, input_at(s, in, window_of(s, y, x)), acc);
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Columns; ++p) store(output_at(s, out, b.first + o, y, x + p), acc[o][p]);
}

/// One output whose window, or one of whose windows, leaves the input.
template <int Out>
__attribute__((noinline)) void border_output(const ConvStep& s, const Block& b, const float* in,
                                             float* out, int y, int x) {
  Lanes best[Out], other[Out];
  if (!s.pool) {
    border_position<Out>(s, b, in, y, x, best);
  } else {
    border_position<Out>(s, b, in, 2 * y, 2 * x, best);
    for (int i = 1; i < 4; ++i) {
      border_position<Out>(s, b, in, 2 * y + i / 2, 2 * x + i % 2, other);
      for (int o = 0; o < Out; ++o) best[o] = larger(best[o], other[o]);
    }
  }
  for (int o = 0; o < Out; ++o) store(output_at(s, out, b.first + o, y, x), best[o]);
}

/// Outputs [begin, end) of a row, all windows inside the input.
template <int Out, int K>
__attribute__((noinline)) void inside_row(const ConvStep& s, const Block& b, const float* in,
                                          float* out, int y, int begin, int end) {
  int x = begin;
  if (s.pool) {
    for (; x < end; ++x) pooled_tile<Out, K>(s, b, in, out, y, x);
    return;
  }
  for (; x + kWide <= end; x += kWide) plain_tile<Out, kWide, K>(s, b, in, out, y, x);
  for (; x < end; ++x) plain_tile<Out, 1, K>(s, b, in, out, y, x);
}

/// Sign and post-ops of a row, still in the cache.
void finish_row(const ConvStep& s, int first, int channels, float* out, int y, int columns) {
  for (int channel = first; channel < first + channels; ++channel) {
    float* row = output_at(s, out, channel, y, 0);
    for (int x = 0; x < columns; ++x, row += s.out_x) {
      Lanes v = load(row);
      if (s.sign != nullptr) v = v * broadcast(s.sign[channel]);
      for (int i = 0; i < s.post_ops; ++i) {
        const PostOp& op = s.post[i];
        if (op.scale == nullptr)
          v = Lanes{} > v ? Lanes{} : v;
        else
          v = fma(v, broadcast(op.scale[channel]), broadcast(op.shift[channel]));
      }
      store(row, v);
    }
  }
}

/// Outputs of a row or column whose windows lie inside the input: [begin, end).
struct Inside {
  int begin, end;
};
SMOOTHCERT_HD Inside inside_range(int outputs, int input, const ConvStep& s) {
  if (s.padding == 0) return {0, outputs};
  const int per_output = s.pool ? 2 : 1, step = s.stride * per_output;
  const int reach = s.kernel + (per_output - 1) * s.stride;  // of all windows of one output
  int begin = (s.padding + step - 1) / step;
  int end = input + s.padding - reach < 0 ? 0 : (input + s.padding - reach) / step + 1;
  if (end > outputs) end = outputs;
  if (begin > end) begin = end;
  return {begin, end};
}

template <int Out>
SMOOTHCERT_HD void block_row(const ConvStep& s, const Block& b, const float* in, float* out, int y,
                             int columns, Inside rows, Inside inside) {
  if (y < rows.begin || y >= rows.end) inside = {columns, columns};
  for (int x = 0; x < inside.begin; ++x) border_output<Out>(s, b, in, out, y, x);
  const int k = s.stride != 1 || (s.kernel != 1 && s.in_x != kLanes) ? 0 : s.kernel;
  if (k == 1)
    inside_row<Out, 1>(s, b, in, out, y, inside.begin, inside.end);
  else if (k == 3)
    inside_row<Out, 3>(s, b, in, out, y, inside.begin, inside.end);
  else if (k == 5)
    inside_row<Out, 5>(s, b, in, out, y, inside.begin, inside.end);
  else
    inside_row<Out, 0>(s, b, in, out, y, inside.begin, inside.end);
  for (int x = inside.end; x < columns; ++x) border_output<Out>(s, b, in, out, y, x);
}

void conv(const ConvStep& s, int columns, const float* in, float* out) {
  const std::size_t taps = static_cast<std::size_t>(s.in_channels) *
                           static_cast<std::size_t>(s.kernel) * static_cast<std::size_t>(s.kernel);
  const int even = s.out_channels / s.blocks, larger_blocks = s.out_channels % s.blocks;
  const Inside rows = inside_range(s.out_height, s.in_height, s);
  const Inside inside = inside_range(columns, s.in_width, s);
  // Rows outside, blocks inside: a block's weights stay in L1 for a row, the rows' inputs in L2 for
  // all blocks.
  for (int y = 0; y < s.out_height; ++y) {
    Block b{s.weights, 0};
    for (int i = 0; i < s.blocks; ++i) {
      const int size = even + (i < larger_blocks ? 1 : 0);
      switch (size) {
        case 1:
          block_row<1>(s, b, in, out, y, columns, rows, inside);
          break;
        case 2:
          block_row<2>(s, b, in, out, y, columns, rows, inside);
          break;
        case 3:
          block_row<3>(s, b, in, out, y, columns, rows, inside);
          break;
        case 4:
          block_row<4>(s, b, in, out, y, columns, rows, inside);
          break;
        case 5:
          block_row<5>(s, b, in, out, y, columns, rows, inside);
          break;
        default:
          block_row<kMaxOutBlock>(s, b, in, out, y, columns, rows, inside);
          break;
      }
      if (s.post_ops > 0 || s.sign != nullptr) finish_row(s, b.first, size, out, y, columns);
      b.weights += taps * static_cast<std::size_t>(size);
      b.first += size;
    }
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
