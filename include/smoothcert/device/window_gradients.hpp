// Gradients of the inputs of windows.hpp's layers, each input gathering from the windows that hold
// it: no two threads write to one place, and the order of the sum is fixed.
#pragma once

#include "smoothcert/device/windows.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// The windows that may hold a position: first, first + 1, …, end − 1.
struct WindowRange {
  int first, end;
};

SMOOTHCERT_HD WindowRange windows_at(const WindowAxis& a, int position, bool adaptive) {
  if (adaptive) {
    const int first = static_cast<int>(static_cast<long long>(position) * a.out / a.in);
    const int end =
        static_cast<int>((static_cast<long long>(position + 1) * a.out + a.in - 1) / a.in);
    return {first, end};
  }
  const int at = position + a.padding, reach = (a.kernel - 1) * a.dilation;
  const int first = at > reach ? (at - reach + a.stride - 1) / a.stride : 0;
  const int end = at / a.stride + 1;
  return {first, end < a.out ? end : a.out};
}

/// The tap of window `i` that meets a position of windows_at(), −1 where none does.
SMOOTHCERT_HD int tap_at(const WindowAxis& a, int i, int position) {
  const int distance = position + a.padding - i * a.stride;
  return distance % a.dilation == 0 ? distance / a.dilation : -1;
}

/// Of a convolution, in the order (output channel, row, column) from 0. `gradient` is of the
/// output, O × H × W; `weights` O × C/groups × ky × kx.
template <class Math, class Gradient>
SMOOTHCERT_HD typename Math::Float window_conv_gradient(const WindowShape& s,
                                                        const Gradient& gradient,
                                                        const float* weights, int channel, int y,
                                                        int x) {
  const int channels = s.in_channels / s.groups, outputs = s.out_channels / s.groups;
  const int group = channel / channels;
  const WindowRange ry = windows_at(s.y, y, false), rx = windows_at(s.x, x, false);
  auto acc = Math::splat(0.0f);
  for (int o = group * outputs; o < (group + 1) * outputs; ++o) {
    const float* plane = weights + static_cast<std::size_t>(o * channels + channel % channels) *
                                       static_cast<std::size_t>(s.y.kernel * s.x.kernel);
    for (int oy = ry.first; oy < ry.end; ++oy) {
      const int ky = tap_at(s.y, oy, y);
      if (ky < 0) continue;
      for (int ox = rx.first; ox < rx.end; ++ox) {
        const int kx = tap_at(s.x, ox, x);
        if (kx < 0) continue;
        acc = Math::fma(Math::splat(plane[ky * s.x.kernel + kx]),
                        gradient[(o * s.y.out + oy) * s.x.out + ox], acc);
      }
    }
  }
  return acc;
}

/// Of a mean.
template <class Math, class Gradient>
SMOOTHCERT_HD typename Math::Float window_mean_gradient(const WindowShape& s,
                                                        const Gradient& gradient, int channel,
                                                        int y, int x) {
  const WindowRange ry = windows_at(s.y, y, s.adaptive), rx = windows_at(s.x, x, s.adaptive);
  auto acc = Math::splat(0.0f);
  for (int oy = ry.first; oy < ry.end; ++oy) {
    const WindowTaps ty = taps_of(s.y, oy, s.adaptive);
#if defined(__CUDA_ARCH__)
#pragma unroll 1  // several divisions at a time would spill registers
#endif
    for (int ox = rx.first; ox < rx.end; ++ox) {
      const float share = mean_share(s, ty, taps_of(s.x, ox, s.adaptive));
      acc = Math::fma(gradient[(channel * s.y.out + oy) * s.x.out + ox], Math::splat(share), acc);
    }
  }
  return acc;
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
