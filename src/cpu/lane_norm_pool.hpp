// BatchNorm with the 2×2 max pooling that alone reads it, over lanes: the normalised activation is
// worked out where it is needed and never stored. Same values, and the same winner of a window (the
// first of equals), as the two layers one after the other.
#pragma once

#include "cpu/lane_batchnorm.hpp"
#include "cpu/lanes.hpp"
#include "cpu/train_kernels.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

/// One window: its inputs, where its largest output is, and that input.
struct PoolWindow {
  Lanes x[4];
  IntLanes winner;  ///< 0 … 3, row by row
  Lanes best, best_x;
};
SMOOTHCERT_HD PoolWindow pool_window(const float* corner, std::size_t row, Lanes scale,
                                     Lanes shift) {
  PoolWindow w;
  for (int i = 0; i < 4; ++i)
    w.x[i] = load(corner + static_cast<std::size_t>(i / 2) * row +
                  static_cast<std::size_t>(i % 2) * kLanes);
  w.best_x = w.x[0];
  w.best = fma(w.x[0], scale, shift);
  w.winner = IntLanes{};
  for (std::int32_t i = 1; i < 4; ++i) {
    const Lanes y = fma(w.x[i], scale, shift);
    const IntLanes above = (y > w.best) | (y != y);
    w.best = above ? y : w.best;
    w.best_x = above ? w.x[i] : w.best_x;
    w.winner = above ? broadcast(i) : w.winner;
  }
  return w;
}

/// f(corner in the input, window number) for every window of channel c.
template <class F>
SMOOTHCERT_HD void for_each_window(const NormPoolStep& s, int c, const F& f) {
  const std::size_t row = static_cast<std::size_t>(s.width) * kLanes;
  const std::size_t plane = static_cast<std::size_t>(s.height) * row;
  const int rows = s.height / 2, columns = s.width / 2;
  std::size_t window = static_cast<std::size_t>(c) * static_cast<std::size_t>(rows * columns);
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x, ++window)
      f(static_cast<std::size_t>(c) * plane + static_cast<std::size_t>(2 * y) * row +
            static_cast<std::size_t>(2 * x) * kLanes,
        window * kLanes);
}

void norm_pool(const NormPoolStep& s, const float* in, float* out) {
  const std::size_t row = static_cast<std::size_t>(s.width) * kLanes;
  for (int c = 0; c < s.channels; ++c) {
    const Lanes scale = broadcast(s.scale[c]), shift = broadcast(s.shift[c]);
    for_each_window(s, c, [&](std::size_t at, std::size_t window) {
      store(out + window, pool_window(in + at, row, scale, shift).best);
    });
  }
}

void norm_pool_sums(const NormPoolStep& s, int valid, const float* mean, const float* in,
                    const float* grad, double* sums) {
  const std::size_t row = static_cast<std::size_t>(s.width) * kLanes;
  for (int c = 0; c < s.channels; ++c) {
    const Lanes scale = broadcast(s.scale[c]), shift = broadcast(s.shift[c]),
                m = broadcast(mean[c]);
    Lanes first{}, second{};
    for_each_window(s, c, [&](std::size_t at, std::size_t window) {
      const Lanes g = load(grad + window);
      first = first + g;
      second = fma(g, pool_window(in + at, row, scale, shift).best_x - m, second);
    });
    sums[2 * c] = sum_of_first(first, valid);
    sums[2 * c + 1] = sum_of_first(second, valid);
  }
}

template <bool kRelu>
void norm_pool_gradient(const NormPoolStep& s, int valid, const NormBackward* channel,
                        const float* in, const float* grad, float* grad_in) {
  const IntLanes used = (IntLanes)(lane_index() < broadcast(static_cast<std::uint32_t>(valid)));
  const std::size_t row = static_cast<std::size_t>(s.width) * kLanes;
  for (int c = 0; c < s.channels; ++c) {
    const Lanes scale = broadcast(s.scale[c]), shift = broadcast(s.shift[c]);
    const Lanes factor = used ? broadcast(channel[c].scale) : Lanes{};
    const Lanes mean_dy = broadcast(channel[c].mean_dy), mean = broadcast(channel[c].mean);
    const Lanes slope = broadcast(-channel[c].slope);
    const auto put = [&](float* to, Lanes x, Lanes dy) {
      const Lanes dx = factor * fma(slope, x - mean, dy - mean_dy);
      store(to, !kRelu ? dx : x > Lanes{} ? dx : Lanes{});
    };
    for_each_window(s, c, [&](std::size_t at, std::size_t window) {
      const PoolWindow w = pool_window(in + at, row, scale, shift);
      const Lanes g = load(grad + window);
      for (std::int32_t i = 0; i < 4; ++i)
        put(grad_in + at + static_cast<std::size_t>(i / 2) * row +
                static_cast<std::size_t>(i % 2) * kLanes,
            w.x[i], w.winner == broadcast(i) ? g : Lanes{});
    });
    // A last odd row or column is in no window.
    const std::size_t plane =
        static_cast<std::size_t>(c) * static_cast<std::size_t>(s.height) * row;
    for (int y = 0; y < s.height; ++y)
      for (int x = y < s.height / 2 * 2 ? s.width / 2 * 2 : 0; x < s.width; ++x) {
        const std::size_t at =
            plane + static_cast<std::size_t>(y) * row + static_cast<std::size_t>(x) * kLanes;
        put(grad_in + at, load(in + at), Lanes{});
      }
  }
}

void norm_pool_backward(const NormPoolStep& s, int valid, const NormBackward* channel,
                        const float* in, const float* grad, float* grad_in) {
  if (s.relu)
    norm_pool_gradient<true>(s, valid, channel, in, grad, grad_in);
  else
    norm_pool_gradient<false>(s, valid, channel, in, grad, grad_in);
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
