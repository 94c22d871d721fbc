// Gradients of the layers without parameters, over lanes.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/train_kernels.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

void relu_backward(std::size_t count, const float* out, const float* grad, float* grad_in) {
  for (std::size_t i = 0; i < count * kLanes; i += kLanes) {
    const Lanes g = load(grad + i);
    store(grad_in + i, load(out + i) > Lanes{} ? g : Lanes{});
  }
}

/// The first of equal values in a window takes the gradient, as in PyTorch.
void maxpool_backward(const PoolStep& s, const float* in, const float* grad, float* grad_in) {
  const auto width = static_cast<std::size_t>(s.in_width);
  const std::size_t plane = static_cast<std::size_t>(s.in_height) * width;
  for (int c = 0; c < s.channels; ++c, in += plane * kLanes, grad_in += plane * kLanes) {
    for (std::size_t i = 0; i < plane; ++i) store(grad_in + i * kLanes, Lanes{});
    for (int y = 0; y < s.out_height; ++y)
      for (int x = 0; x < s.out_width; ++x, grad += kLanes) {
        const int y0 = y * s.stride - s.padding, x0 = x * s.stride - s.padding;
        const int top = y0 < 0 ? 0 : y0, left = x0 < 0 ? 0 : x0;
        const int bottom = y0 + s.kernel < s.in_height ? y0 + s.kernel : s.in_height;
        const int right = x0 + s.kernel < s.in_width ? x0 + s.kernel : s.in_width;
        Lanes best = broadcast(-__builtin_inff());
        IntLanes winner{};
        for (int iy = top; iy < bottom; ++iy)
          for (int ix = left; ix < right; ++ix) {
            const int at = iy * s.in_width + ix;
            const Lanes v = load(in + static_cast<std::size_t>(at) * kLanes);
            const IntLanes above = (v > best) | (v != v);
            best = above ? v : best;
            winner = above ? broadcast(std::int32_t{at}) : winner;
          }
        const Lanes g = load(grad);
        for (int iy = top; iy < bottom; ++iy)
          for (int ix = left; ix < right; ++ix) {
            const int at = iy * s.in_width + ix;
            float* to = grad_in + static_cast<std::size_t>(at) * kLanes;
            store(to, load(to) + (winner == broadcast(std::int32_t{at}) ? g : Lanes{}));
          }
      }
  }
}

void average_backward(std::size_t channels, std::size_t area, const float* grad, float* grad_in) {
  const Lanes share = broadcast(1.0f / static_cast<float>(area));
  for (std::size_t c = 0; c < channels; ++c) {
    const Lanes g = load(grad + c * kLanes) * share;
    for (std::size_t i = c * area; i < (c + 1) * area; ++i) store(grad_in + i * kLanes, g);
  }
}

void scale_channels(std::size_t channels, std::size_t area, const float* scale, const float* in,
                    float* out) {
  for (std::size_t c = 0; c < channels; ++c) {
    const Lanes a = broadcast(scale[c]);
    for (std::size_t i = c * area; i < (c + 1) * area; ++i)
      store(out + i * kLanes, load(in + i * kLanes) * a);
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
