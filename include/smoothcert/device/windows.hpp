// Windows of convolutions and poolings over an activation: plain data, and the leaves that walk
// one.
#pragma once

#include <cstddef>

#if !defined(__CUDACC__)
#include <math.h>
#endif

#include "smoothcert/device/hd.hpp"
#include "smoothcert/device/layers.hpp"

namespace smoothcert {

/// Along one axis: window i starts at i·stride − padding, its taps are `dilation` apart. Adaptive:
/// it is [⌊i·in/out⌋, ⌈(i+1)·in/out⌉).
struct WindowAxis {
  int in = 1, out = 1;
  int kernel = 1, stride = 1, padding = 0, dilation = 1;
};

struct WindowShape {
  int in_channels = 1, out_channels = 1;
  int groups = 1;  ///< convolution: its channels are cut into this many, apart from each other
  WindowAxis y, x;
  bool adaptive = false;
  bool count_padding = false;  ///< mean: over the taps in the padding as well
};

namespace device {
inline namespace SMOOTHCERT_ISA {

/// The taps of one window that lie inside the input: positions first + i·dilation, i < count; tap
/// `skipped` of the window comes first. `whole` counts the taps in input and padding.
struct WindowTaps {
  int first, count, skipped, whole;
};

SMOOTHCERT_HD WindowTaps taps_of(const WindowAxis& a, int i, bool adaptive) {
  if (adaptive) {
    const int first = static_cast<int>(static_cast<long long>(i) * a.in / a.out);
    const int end = static_cast<int>((static_cast<long long>(i + 1) * a.in + a.out - 1) / a.out);
    return {first, end - first, 0, end - first};
  }
  const int start = i * a.stride - a.padding;
  const int skipped = start < 0 ? (-start + a.dilation - 1) / a.dilation : 0;
  int end = start >= a.in ? 0 : (a.in - 1 - start) / a.dilation + 1;
  if (end > a.kernel) end = a.kernel;
  const int reach = a.in + a.padding - start;  // an avgpool has no dilation
  return {start + skipped * a.dilation, end > skipped ? end - skipped : 0, skipped,
          reach < a.kernel ? reach : a.kernel};
}

/// One output of a convolution. `in` is C × H × W, `weights` O × C/groups × ky × kx.
template <class Input>
SMOOTHCERT_HD float window_conv(const WindowShape& s, const Input& in, const float* weights,
                                float bias, int channel, int y, int x) {
  const int channels = s.in_channels / s.groups;
  const int first = channel / (s.out_channels / s.groups) * channels;
  const WindowTaps ty = taps_of(s.y, y, false), tx = taps_of(s.x, x, false);
  float acc = bias;
  for (int c = 0; c < channels; ++c) {
    const float* plane = weights + static_cast<std::size_t>(channel * channels + c) *
                                       static_cast<std::size_t>(s.y.kernel * s.x.kernel);
    for (int ky = 0; ky < ty.count; ++ky) {
      const int row = (first + c) * s.y.in + ty.first + ky * s.y.dilation;
      const float* w = plane + (ty.skipped + ky) * s.x.kernel + tx.skipped;
      for (int kx = 0; kx < tx.count; ++kx) {
        acc = fused_multiply_add(w[kx], in[row * s.x.in + tx.first + kx * s.x.dilation], acc);
      }
    }
  }
  return acc;
}

/// The largest value of a window, −∞ for an empty one; NaN if any is.
template <class Input>
SMOOTHCERT_HD float window_max(const WindowShape& s, const Input& in, int channel, int y, int x) {
  const WindowTaps ty = taps_of(s.y, y, s.adaptive), tx = taps_of(s.x, x, s.adaptive);
  float best = -INFINITY;
  for (int ky = 0; ky < ty.count; ++ky) {
    const int row = channel * s.y.in + ty.first + ky * s.y.dilation;
    for (int kx = 0; kx < tx.count; ++kx) {
      best = max_or_nan(best, in[row * s.x.in + tx.first + kx * s.x.dilation]);
    }
  }
  return best;
}

/// 1 / the number of values that a window's mean is over, as float.
SMOOTHCERT_HD float mean_share(const WindowShape& s, const WindowTaps& y, const WindowTaps& x) {
  const int count = s.count_padding ? y.whole * x.whole : y.count * x.count;
  return 1.0f / static_cast<float>(count);
}

template <class Input>
SMOOTHCERT_HD float window_mean(const WindowShape& s, const Input& in, int channel, int y, int x) {
  const WindowTaps ty = taps_of(s.y, y, s.adaptive), tx = taps_of(s.x, x, s.adaptive);
  float sum = 0.0f;
  for (int ky = 0; ky < ty.count; ++ky) {
    const int row = channel * s.y.in + ty.first + ky;
    for (int kx = 0; kx < tx.count; ++kx) sum += in[row * s.x.in + tx.first + kx];
  }
  return sum * mean_share(s, ty, tx);
}

}  // namespace SMOOTHCERT_ISA
}  // namespace device
}  // namespace smoothcert
