// The arithmetic of exact mode, one value at a time: what every kernel, on every device, must
// compute. Templated over the value: `float` on a GPU thread, a group of lanes on the CPU.
//
// All operations are IEEE float32, round to nearest; the compiler contracts nothing, every fused
// multiply-add is written as one. The sign of a zero is not part of the contract (no step of a plan
// can turn it into a different vote), everything else is, bit for bit.
#pragma once

#if !defined(__CUDACC__)
#include <math.h>
#endif

#include "smoothcert/device/hd.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// a·b + c with one rounding. Lane types overload `fma` beside their definition (found by ADL or
/// passed as a functor by the caller).
SMOOTHCERT_HD float fused_multiply_add(float a, float b, float c) { return fmaf(a, b, c); }

/// Pixel of the lattice → input of the network: v · (1/255 as float).
inline constexpr float kPixelScale = 1.0f / 255.0f;

/// max(x, 0), NaN kept.
template <class V>
SMOOTHCERT_HD V relu(V x, V zero = V{}) {
  return x < zero ? zero : x;
}

/// The larger of two; NaN if either is. Pooling folds this over its window in (ky, kx) order.
SMOOTHCERT_HD float max_or_nan(float a, float b) { return b > a || b != b ? b : a; }

/// Folded BatchNorm or input normalisation of one value.
SMOOTHCERT_HD float affine(float x, float scale, float shift) {
  return fused_multiply_add(x, scale, shift);
}

/// [0, 1] clamp of a continuous noisy pixel, NaN kept.
template <class V>
SMOOTHCERT_HD V clamp01(V x, V zero, V one) {
  const V low = x < zero ? zero : x;
  return low > one ? one : low;
}
SMOOTHCERT_HD float clamp01(float x) { return clamp01(x, 0.0f, 1.0f); }

/// One output of a convolution (a linear layer is a convolution of a 1×1 window with as many input
/// channels as features). `in` is C × H × W with the given strides in values; the window starts at
/// (y0, x0), which may be negative: taps outside the input are skipped. `weights` is C × k × k.
template <class Input>
SMOOTHCERT_HD float conv_output(const Input& in, const float* weights, float bias, int channels,
                                int height, int width, int kernel, int y0, int x0) {
  float acc = bias;
  for (int c = 0; c < channels; ++c)
    for (int ky = 0; ky < kernel; ++ky)
      for (int kx = 0; kx < kernel; ++kx) {
        const int y = y0 + ky, x = x0 + kx;
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        acc = fused_multiply_add(weights[(c * kernel + ky) * kernel + kx],
                                 in[(c * height + y) * width + x], acc);
      }
  return acc;
}

/// Index of the largest of `classes` logits, the lowest of equals; −1 when any is NaN ("invalid").
template <class Logits>
SMOOTHCERT_HD int argmax_or_invalid(const Logits& logits, int classes) {
  int best = 0;
  bool nan = logits[0] != logits[0];
  for (int c = 1; c < classes; ++c) {
    nan = nan || logits[c] != logits[c];
    if (logits[c] > logits[best]) best = c;
  }
  return nan ? -1 : best;
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
