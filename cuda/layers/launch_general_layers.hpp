// Launches of the layers that the tuned kernels do not know, forward and backward. Asynchronous on
// the given stream; pointers are device pointers; activations are NCHW. `add` adds to what the
// gradient holds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/runtime/abi.hpp"
#include "gpu/train_plan.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// `bias` may be null.
void window_conv(Stream stream, const WindowShape& shape, std::uint32_t n, const float* in,
                 const float* weights, const float* bias, float* out);
void window_conv_input_gradient(Stream stream, const WindowShape& shape, std::uint32_t n,
                                const float* out_gradient, const float* weights, bool add,
                                float* in_gradient);
void window_conv_weight_gradient(Stream stream, const WindowShape& shape, std::uint32_t n,
                                 const float* in, const float* out_gradient, bool add,
                                 float* gradient);
/// `winner`: ints, one an output.
void window_max(Stream stream, const WindowShape& shape, std::uint32_t n, const float* in,
                float* out, int* winner);
void window_max_backward(Stream stream, const WindowShape& shape, std::uint32_t n,
                         const int* winner, const float* out_gradient, bool add,
                         float* in_gradient);
void window_mean(Stream stream, const WindowShape& shape, std::uint32_t n, const float* in,
                 float* out);
void window_mean_backward(Stream stream, const WindowShape& shape, std::uint32_t n,
                          const float* out_gradient, bool add, float* in_gradient);

void activate(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in, float* out);
void activate_backward(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                       const float* out_gradient, bool add, float* in_gradient);
void prelu(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* slopes,
           const float* in, float* out);
void prelu_backward(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* slopes,
                    const float* in, const float* out_gradient, bool add, float* in_gradient);
void prelu_slopes(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                  const float* out_gradient, bool add, float* gradient);
void softmax(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in, float* out);
void softmax_backward(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* out,
                      const float* out_gradient, bool add, float* in_gradient);

/// moments: 2 · groups floats an image; scale and shift may be null together.
void group_norm(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                const float* scale, const float* shift, float* moments, float* out);
void group_norm_backward(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                         const float* scale, const float* moments, const float* out_gradient,
                         bool add, float* in_gradient);
void group_norm_parameters(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                           const float* moments, const float* out_gradient, bool add,
                           float* scale_gradient, float* shift_gradient);

/// a_size, b_size: values of an operand.
void arithmetic(Stream stream, const ArithmeticShape& shape, std::size_t a_size, std::size_t b_size,
                std::uint32_t n, const float* a, const float* b, float* out);
/// Of the first operand, or the second; `other` holds the other one's values.
void arithmetic_backward(Stream stream, const ArithmeticShape& shape, std::size_t a_size,
                         std::size_t b_size, bool second, std::uint32_t n, const float* other,
                         const float* out_gradient, bool add, float* in_gradient);

/// `part` values of each image, which are all of one array's and from `first` on of the whole's.
void copy_into(Stream stream, std::size_t whole, std::size_t first, std::size_t part,
               std::uint32_t n, const float* in, float* out);
void copy_out_of(Stream stream, std::size_t whole, std::size_t first, std::size_t part,
                 std::uint32_t n, const float* in, bool add, float* out);
/// The same `size` values for each image.
void repeat(Stream stream, const float* values, std::size_t size, std::uint32_t n, float* out);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
