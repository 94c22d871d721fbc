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

/// One block of output channels, and where its outputs of one row are.
struct Block {
  const float* weights;
  int first;              ///< its first output channel
  float* out;             ///< of that channel, column 0
  const float* residual;  ///< likewise
  std::uintptr_t ahead;   ///< 1×1: where the next strip is, of which its tiles fetch a column each
};

/// K of accumulate() for 1×1 convolutions, which read so many bytes a multiply-add that they fetch
/// ahead.
constexpr int kFetching = -1;

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
SMOOTHCERT_HD std::size_t output_at(const ConvStep& s, int channel, int x) {
  return static_cast<std::size_t>(channel) * s.out_c + static_cast<std::size_t>(x) * s.out_x;
}

/// What finish_tile() reads and writes, fetched while the tile is worked out.
template <int Out, int Columns>
SMOOTHCERT_HD void fetch_outputs(const ConvStep& s, const Block& b, int x) {
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Columns; ++p) {
      __builtin_prefetch(b.out + output_at(s, o, x + p), 1, 3);
      if (b.residual != nullptr && b.residual != b.out)
        __builtin_prefetch(b.residual + output_at(s, o, x + p), 0, 3);
    }
}

/// Post-ops of Columns neighbouring outputs while they are in registers; then they are stored,
/// which may overwrite the residual.
template <int Out, int Columns>
SMOOTHCERT_HD void finish_tile(const ConvStep& s, const Block& b, int x,
                               Lanes (&acc)[Out][Columns]) {
#pragma GCC unroll 1
  for (int i = 0; i < s.post_ops; ++i) {
    const PostOp& op = s.post[i];
    if (op.add) {
      for (int o = 0; o < Out; ++o)
        for (int p = 0; p < Columns; ++p)
          acc[o][p] = acc[o][p] + load(b.residual + output_at(s, o, x + p));
    } else if (op.scale == nullptr) {
      for (int o = 0; o < Out; ++o)
        for (int p = 0; p < Columns; ++p) acc[o][p] = Lanes{} > acc[o][p] ? Lanes{} : acc[o][p];
    } else {
      for (int o = 0; o < Out; ++o) {
        const Lanes scale = broadcast(op.scale[b.first + o]);
        const Lanes shift = broadcast(op.shift[b.first + o]);
        for (int p = 0; p < Columns; ++p) acc[o][p] = fma(acc[o][p], scale, shift);
      }
    }
  }
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Columns; ++p) store(b.out + output_at(s, o, x + p), acc[o][p]);
}

/// acc[o][p] for Rows × Columns neighbouring positions; `in` is the first one's window, all windows
/// inside the input. K: the kernel size, with stride 1 and dense columns where it is not 1 (a
/// linear layer's columns are lane groups); 0 for any size and stride.
template <int Out, int Rows, int Columns, int K>
SMOOTHCERT_HD void accumulate(const ConvStep& s, const Block& b, const float* in,
                              Lanes (&acc)[Out][Rows * Columns], std::uintptr_t ahead = 0) {
  const int k = K == 0 ? s.kernel : K == kFetching ? 1 : K;
  const std::size_t stride = K > 1 ? 1 : static_cast<std::size_t>(s.stride);
  const std::size_t next = K > 1 ? kLanes : s.in_x;
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Rows * Columns; ++p) acc[o][p] = broadcast(s.bias[b.first + o]);
  const float* w = b.weights;
  for (int c = 0; c < s.in_channels; ++c, in += s.in_c) {
    if constexpr (K == kFetching) {
      __builtin_prefetch(reinterpret_cast<const void*>(ahead), 0, 2);
      ahead += s.in_c * sizeof(float);
    }
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

/// Which taps of a 3×3 tile lie outside the input: the first column of its first window, the last
/// column of its last one.
enum class Edge { none, left, right, both };

/// acc[o][p] of a 3×3 convolution for Columns neighbouring positions of a row, over the taps of
/// rows [ky0, ky1); `in` is where the first window begins. Where registers allow, a row of inputs
/// is loaded once for its three columns of taps.
template <int Out, int Columns, int Stride, Edge E>
SMOOTHCERT_HD void accumulate3(const ConvStep& s, const Block& b, const float* in, int ky0, int ky1,
                               Lanes (&acc)[Out][Columns]) {
  constexpr bool kLeft = E == Edge::left || E == Edge::both;
  constexpr bool kRight = E == Edge::right || E == Edge::both;
  constexpr int kInputs = (Columns - 1) * Stride + 3;
  constexpr bool kKeepRow = kWide == 4 && kInputs <= 6;  // registers for it
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Columns; ++p) acc[o][p] = broadcast(s.bias[b.first + o]);
  const float* w = b.weights + ky0 * 3 * Out;
  const int skip = (3 - (ky1 - ky0)) * 3 * Out;
  in += static_cast<std::ptrdiff_t>(ky0) * static_cast<std::ptrdiff_t>(s.in_y);
  for (int c = 0; c < s.in_channels; ++c, in += s.in_c, w += skip) {
    const float* row = in;
#pragma GCC unroll 1
    for (int ky = ky0; ky < ky1; ++ky, row += s.in_y, w += 3 * Out) {
      Lanes v[kInputs];
      if (kKeepRow)
        for (int j = kLeft ? 1 : 0; j < kInputs - (kRight ? 1 : 0); ++j)
          v[j] = load(row + j * kLanes);
      for (int kx = 0; kx < 3; ++kx) {
        const auto outside = [&](int p) {
          return (kLeft && kx == 0 && p == 0) || (kRight && kx == 2 && p == Columns - 1);
        };
        if (!kKeepRow) {
          asm("" : "+r"(row));  // or the compiler keeps what it has loaded, in memory
          for (int p = 0; p < Columns; ++p)
            if (!outside(p)) v[p * Stride + kx] = load(row + (p * Stride + kx) * kLanes);
        }
        for (int o = 0; o < Out; ++o)
          for (int p = 0; p < Columns; ++p)
            if (!outside(p)) acc[o][p] = fma(w[kx * Out + o], v[p * Stride + kx], acc[o][p]);
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
SMOOTHCERT_HD void pooled_tile(const ConvStep& s, const Block& b, const float* in, int y, int x) {
  const float* corner = input_at(s, in, window_of(s, 2 * y, 2 * x));
  Lanes acc[Out][kPoolRows * 2];
  accumulate<Out, kPoolRows, 2, K>(s, b, corner, acc);
  for (int o = 0; o < Out; ++o) {
    Lanes best = larger(acc[o][0], acc[o][1]);
    if (kPoolRows == 2) best = larger(best, larger(acc[o][kPoolRows], acc[o][kPoolRows * 2 - 1]));
    store(b.out + output_at(s, o, x), best);
  }
  if (kPoolRows == 2) return;
  accumulate<Out, kPoolRows, 2, K>(s, b, corner + static_cast<std::size_t>(s.stride) * s.in_y, acc);
  for (int o = 0; o < Out; ++o) {
    float* to = b.out + output_at(s, o, x);
    store(to, larger(load(to), larger(acc[o][0], acc[o][1])));
  }
}

template <int Out, int Columns, int K>
SMOOTHCERT_HD void plain_tile(const ConvStep& s, const Block& b, const float* in, int y, int x,
                              std::uintptr_t ahead = 0) {
  if constexpr (K == kFetching) fetch_outputs<Out, Columns>(s, b, x);
  Lanes acc[Out][Columns];
  accumulate<Out, 1, Columns, K>(s, b, input_at(s, in, window_of(s, y, x)), acc, ahead);
  finish_tile(s, b, x, acc);
}

/// One output whose window, or one of whose windows, leaves the input.
template <int Out>
__attribute__((noinline)) void border_output(const ConvStep& s, const Block& b, const float* in,
                                             int y, int x) {
  Lanes best[Out], other[Out];
  if (!s.pool) {
    Lanes sum[Out][1];
    border_position<Out>(s, b, in, y, x, best);
    for (int o = 0; o < Out; ++o) sum[o][0] = best[o];
    finish_tile(s, b, x, sum);
    return;
  }
  border_position<Out>(s, b, in, 2 * y, 2 * x, best);
  for (int i = 1; i < 4; ++i) {
    border_position<Out>(s, b, in, 2 * y + i / 2, 2 * x + i % 2, other);
    for (int o = 0; o < Out; ++o) best[o] = larger(best[o], other[o]);
  }
  for (int o = 0; o < Out; ++o) store(b.out + output_at(s, o, x), best[o]);
}

/// Outputs [begin, end) of a row, all windows inside the input.
template <int Out, int K>
__attribute__((noinline)) void inside_row(const ConvStep& s, const Block& b, const float* in, int y,
                                          int begin, int end) {
  int x = begin;
  if (s.pool) {
    for (; x < end; ++x) pooled_tile<Out, K>(s, b, in, y, x);
    return;
  }
  std::uintptr_t ahead = b.ahead;
  const std::size_t column = static_cast<std::size_t>(s.stride) * s.in_x * sizeof(float);
  for (; x + kWide <= end; x += kWide, ahead += column)
    plain_tile<Out, kWide, K>(s, b, in, y, x, ahead);
  for (; x < end; ++x) plain_tile<Out, 1, K>(s, b, in, y, x, ahead);
}

template <int Out, int Columns, int Stride, Edge E>
SMOOTHCERT_HD void tile3(const ConvStep& s, const Block& b, const float* in, int ky0, int ky1,
                         int y, int x) {
  Lanes acc[Out][Columns];
  accumulate3<Out, Columns, Stride, E>(s, b, input_at(s, in, window_of(s, y, x)), ky0, ky1, acc);
  finish_tile(s, b, x, acc);
}

/// Outputs [begin, end) of a row of a 3×3 convolution, borders included: at least kWide of them.
template <int Out, int Stride>
__attribute__((noinline)) void row3(const ConvStep& s, const Block& b, const float* in, int y,
                                    int begin, int end) {
  const Window first = window_of(s, y, begin), last = window_of(s, y, end - 1);
  const int ky0 = first.y < 0 ? -first.y : 0;
  const int ky1 = first.y + 3 > s.in_height ? s.in_height - first.y : 3;
  const bool right = last.x + 3 > s.in_width;
  int x = begin;
  if (first.x < 0) {
    x += kWide;
    if (x == end && right)
      return tile3<Out, kWide, Stride, Edge::both>(s, b, in, ky0, ky1, y, begin);
    tile3<Out, kWide, Stride, Edge::left>(s, b, in, ky0, ky1, y, begin);
  }
  const int whole = right ? end - 1 : end;  // the last tile is another one
  for (; x + kWide <= whole; x += kWide)
    tile3<Out, kWide, Stride, Edge::none>(s, b, in, ky0, ky1, y, x);
  switch (end - x) {
#if defined(__AVX512F__)
    case 4:
      return tile3<Out, 4, Stride, Edge::right>(s, b, in, ky0, ky1, y, x);
    case 3:
      return right ? tile3<Out, 3, Stride, Edge::right>(s, b, in, ky0, ky1, y, x)
                   : tile3<Out, 3, Stride, Edge::none>(s, b, in, ky0, ky1, y, x);
#endif
    case 2:
      return right ? tile3<Out, 2, Stride, Edge::right>(s, b, in, ky0, ky1, y, x)
                   : tile3<Out, 2, Stride, Edge::none>(s, b, in, ky0, ky1, y, x);
    case 1:
      return right ? tile3<Out, 1, Stride, Edge::right>(s, b, in, ky0, ky1, y, x)
                   : tile3<Out, 1, Stride, Edge::none>(s, b, in, ky0, ky1, y, x);
    default:
      return;
  }
}

/// Sign and post-ops of a pooled row, still in the cache.
void finish_pooled_row(const ConvStep& s, const Block& b, int channels, int columns) {
  for (int o = 0; o < channels; ++o) {
    const int channel = b.first + o;
    float* at = b.out + output_at(s, o, 0);
    for (int x = 0; x < columns; ++x, at += s.out_x) {
      Lanes v = load(at);
      if (s.sign != nullptr) v = v * broadcast(s.sign[channel]);
      for (int i = 0; i < s.post_ops; ++i) {
        const PostOp& op = s.post[i];
        if (op.scale == nullptr)
          v = Lanes{} > v ? Lanes{} : v;
        else
          v = fma(v, broadcast(op.scale[channel]), broadcast(op.shift[channel]));
      }
      store(at, v);
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

/// Outputs [begin, end) of a row.
template <int Out>
SMOOTHCERT_HD void block_row(const ConvStep& s, const Block& b, const float* in, int y, int begin,
                             int end, Inside rows, Inside inside) {
  const bool dense = s.in_x == kLanes;
#if defined(__AVX2__)  // without, these many tiles take a minute to compile and save nothing
  if (s.kernel == 3 && dense && !s.pool && s.padding <= 1 && end - begin >= kWide) {
    if (s.stride == 1) return row3<Out, 1>(s, b, in, y, begin, end);
    if (s.stride == 2) return row3<Out, 2>(s, b, in, y, begin, end);
  }
#endif
  if (y < rows.begin || y >= rows.end) inside = {end, end};
  const int first = inside.begin < begin ? begin : inside.begin < end ? inside.begin : end;
  const int last = inside.end < first ? first : inside.end < end ? inside.end : end;
  for (int x = begin; x < first; ++x) border_output<Out>(s, b, in, y, x);
  const int k = s.kernel != 1 && (s.stride != 1 || !dense) ? 0 : s.kernel;
  if (k == 1 && dense && !s.pool)
    inside_row<Out, kFetching>(s, b, in, y, first, last);
  else if (k == 1)
    inside_row<Out, 1>(s, b, in, y, first, last);
  else if (k == 3)
    inside_row<Out, 3>(s, b, in, y, first, last);
  else if (k == 5)
    inside_row<Out, 5>(s, b, in, y, first, last);
  else
    inside_row<Out, 0>(s, b, in, y, first, last);
  for (int x = last; x < end; ++x) border_output<Out>(s, b, in, y, x);
}

/// How many columns of a row all blocks of output channels work on before the next ones: as many as
/// have inputs that stay in the L2 cache beside the weights that pass through.
SMOOTHCERT_HD int strip_columns(const ConvStep& s, int columns) {
  constexpr std::size_t kBudget = 256 << 10;
  int strip = columns;
  if (!s.pool && s.in_x == kLanes) {
    const std::size_t column = static_cast<std::size_t>(s.in_channels) *
                               static_cast<std::size_t>(s.kernel * s.stride) * kLanes *
                               sizeof(float);
    const std::size_t fit = kBudget / column;
    if (fit < static_cast<std::size_t>(columns)) strip = static_cast<int>(fit) / kWide * kWide;
    if (strip < 2 * kWide) strip = 2 * kWide;
  }
  return strip;
}

void conv_residual(const ConvStep& s, int columns, const float* in, const float* residual,
                   float* out) {
  const std::size_t taps = static_cast<std::size_t>(s.in_channels) *
                           static_cast<std::size_t>(s.kernel) * static_cast<std::size_t>(s.kernel);
  const int even = s.out_channels / s.blocks, larger_blocks = s.out_channels % s.blocks;
  const Inside rows = inside_range(s.out_height, s.in_height, s);
  const Inside inside = inside_range(columns, s.in_width, s);
  const int strip = strip_columns(s, columns);
  // Rows outside, then strips, blocks inside: a block's weights stay in L1 for a strip, the strip's
  // inputs in L2 for all blocks.
  for (int y = 0; y < s.out_height; ++y)
    for (int begin = 0, end = 0; begin < columns; begin = end) {
      // What would be too little for a tile joins the last strip.
      end = columns - begin < strip + kWide ? columns : begin + strip;
      const std::size_t row = static_cast<std::size_t>(y) * s.out_y;
      Block b{s.weights, 0, out + row, residual == nullptr ? nullptr : residual + row, 0};
      // The first blocks fetch the next strip, a column a tile.
      const int tiles = (end - begin) / kWide, next_x = end < columns ? end : 0;
      const Window next = window_of(s, end < columns ? y : y + 1, next_x);
      const float* next_strip = input_at(s, in, next);
      for (int i = 0; i < s.blocks; ++i) {
        b.ahead = reinterpret_cast<std::uintptr_t>(next_strip) +
                  static_cast<std::size_t>((i < kWide ? i : 0) * tiles * s.stride) * s.in_x *
                      sizeof(float);
        const int size = even + (i < larger_blocks ? 1 : 0);
        switch (size) {
          case 1:
            block_row<1>(s, b, in, y, begin, end, rows, inside);
            break;
          case 2:
            block_row<2>(s, b, in, y, begin, end, rows, inside);
            break;
          case 3:
            block_row<3>(s, b, in, y, begin, end, rows, inside);
            break;
          case 4:
            block_row<4>(s, b, in, y, begin, end, rows, inside);
            break;
          case 5:
            block_row<5>(s, b, in, y, begin, end, rows, inside);
            break;
          default:
            block_row<kMaxOutBlock>(s, b, in, y, begin, end, rows, inside);
            break;
        }
        if (s.pool && (s.post_ops > 0 || s.sign != nullptr)) finish_pooled_row(s, b, size, columns);
        const std::size_t block = static_cast<std::size_t>(size);
        b.weights += taps * block;
        b.first += size;
        b.out += block * s.out_c;
        if (residual != nullptr) b.residual += block * s.out_c;
      }
    }
}

void conv(const ConvStep& s, int columns, const float* in, float* out) {
  conv_residual(s, columns, in, nullptr, out);
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
