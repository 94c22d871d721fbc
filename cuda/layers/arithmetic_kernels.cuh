// Layers of several inputs or none, forward and backward, NCHW: sums, differences and products with
// an extent of 1 repeated, concatenation, constants.
#pragma once

#include "cuda/layers/window_kernels.cuh"
#include "cuda/runtime/simt.cuh"
#include "smoothcert/device/arithmetic.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Values of the two operands of an image.
struct OperandSizes {
  std::size_t a, b;
};

static __global__ void __launch_bounds__(256)
    arithmetic_kernel(ArithmeticShape s, OperandSizes sizes, std::size_t count,
                      const float* __restrict__ a, const float* __restrict__ b,
                      float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const BatchPlace at = batch_place(i, s.channels, s.height, s.width);
  const auto in = [&](const ArithmeticOperand& o, std::size_t size) {
    return at.image * size + static_cast<std::size_t>(o.at(at.channel, at.y, at.x));
  };
  out[i] = device::combine(s.kind, a[in(s.a, sizes.a)], b[in(s.b, sizes.b)]);
}

/// Of the first operand, or the second; `other` holds the other one's values. count: of the
/// operand's values.
static __global__ void __launch_bounds__(256)
    arithmetic_backward_kernel(ArithmeticShape s, OperandSizes sizes, bool second,
                               std::size_t count, const float* __restrict__ other,
                               const float* __restrict__ out_gradient, bool add,
                               float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const ArithmeticOperand own = s.operand(second);
  const BatchPlace at = batch_place(i, own.c == 0 ? 1 : s.channels, own.y == 0 ? 1 : s.height,
                                    own.x == 0 ? 1 : s.width);
  const std::size_t out_size = static_cast<std::size_t>(s.channels) *
                               static_cast<std::size_t>(s.height) *
                               static_cast<std::size_t>(s.width);
  store_gradient(&in_gradient[i],
                 device::arithmetic_gradient<device::ScalarMath>(
                     s, second, out_gradient + at.image * out_size,
                     other + at.image * (second ? sizes.a : sizes.b), at.channel, at.y, at.x),
                 add);
}

/// A run of values within each image.
struct ImageSlice {
  std::size_t size, first;  ///< values of an image, the run's first one
};

/// `length` values of each image from one array to the other, or added there.
static __global__ void __launch_bounds__(256)
    copy_slice_kernel(std::size_t count, std::size_t length, ImageSlice from, ImageSlice to,
                      const float* __restrict__ in, bool add, float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const std::size_t image = i / length, k = i % length;
  store_gradient(&out[image * to.size + to.first + k], in[image * from.size + from.first + k], add);
}

/// The same values for each image.
static __global__ void __launch_bounds__(256)
    repeat_kernel(std::size_t count, std::size_t size, const float* __restrict__ values,
                  float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i < count) out[i] = values[i % size];
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
