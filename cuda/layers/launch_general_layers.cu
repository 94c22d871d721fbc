// Launches of the layers that the tuned kernels do not know.
#include "cuda/layers/activation_kernels.cuh"
#include "cuda/layers/arithmetic_kernels.cuh"
#include "cuda/layers/group_norm_kernels.cuh"
#include "cuda/layers/launch_general_layers.hpp"
#include "cuda/layers/window_kernels.cuh"
#include "cuda/runtime/launch.cuh"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// One thread a value; one block a parameter or a group.
#define SMOOTHCERT_LAUNCH_VALUES(kernel, count, ...)                                            \
  SMOOTHCERT_LAUNCH(kernel, dim3(blocks_for(count, block_threads())), dim3(block_threads()), 0, \
                    stream, __VA_ARGS__)
#define SMOOTHCERT_LAUNCH_BLOCKS(kernel, count, ...)                                              \
  SMOOTHCERT_LAUNCH(kernel, dim3(static_cast<unsigned>(count)), dim3(block_threads()), 0, stream, \
                    __VA_ARGS__)

namespace {

std::size_t inputs_of(const WindowShape& s, std::uint32_t n) {
  return std::size_t{n} * static_cast<std::size_t>(s.in_channels) *
         static_cast<std::size_t>(s.y.in) * static_cast<std::size_t>(s.x.in);
}
std::size_t outputs_of(const WindowShape& s, std::uint32_t n) {
  return std::size_t{n} * static_cast<std::size_t>(s.out_channels) *
         static_cast<std::size_t>(s.y.out) * static_cast<std::size_t>(s.x.out);
}
std::uint32_t positions_of(const TrainLayer& layer) {
  return static_cast<std::uint32_t>(layer.in_shape.height * layer.in_shape.width);
}

PreluShape prelu_shape(const TrainLayer& layer, std::uint32_t n) {
  const std::size_t size = layer.in_shape.size();
  return {size * n, size / layer.weight_count, static_cast<std::uint32_t>(layer.weight_count)};
}

GroupNormShape norm_shape_of(const TrainLayer& layer, std::uint32_t n) {
  const auto groups = static_cast<std::uint32_t>(layer.groups);
  return {n, groups, static_cast<std::uint32_t>(layer.in_shape.size() / groups),
          layer.kind == LayerKind::layernorm ? 1 : positions_of(layer),
          static_cast<float>(layer.eps)};
}

}  // namespace

void window_conv(Stream stream, const WindowShape& shape, std::uint32_t n, const float* in,
                 const float* weights, const float* bias, float* out) {
  const std::size_t count = outputs_of(shape, n);
  SMOOTHCERT_LAUNCH_VALUES(window_conv_kernel, count, shape, count, in, weights, bias, out);
}
void window_conv_input_gradient(Stream stream, const WindowShape& shape, std::uint32_t n,
                                const float* out_gradient, const float* weights, bool add,
                                float* in_gradient) {
  const std::size_t count = inputs_of(shape, n);
  SMOOTHCERT_LAUNCH_VALUES(window_conv_input_kernel, count, shape, count, out_gradient, weights,
                           add, in_gradient);
}
void window_conv_weight_gradient(Stream stream, const WindowShape& shape, std::uint32_t n,
                                 const float* in, const float* out_gradient, bool add,
                                 float* gradient) {
  const int weights =
      shape.out_channels * (shape.in_channels / shape.groups) * shape.y.kernel * shape.x.kernel;
  SMOOTHCERT_LAUNCH_BLOCKS(window_conv_weight_kernel, weights, shape, n, in, out_gradient, add,
                           gradient);
}
void window_max(Stream stream, const WindowShape& shape, std::uint32_t n, const float* in,
                float* out, int* winner) {
  const std::size_t count = outputs_of(shape, n);
  SMOOTHCERT_LAUNCH_VALUES(window_max_kernel, count, shape, count, in, out, winner);
}
void window_max_backward(Stream stream, const WindowShape& shape, std::uint32_t n,
                         const int* winner, const float* out_gradient, bool add,
                         float* in_gradient) {
  const std::size_t count = inputs_of(shape, n);
  SMOOTHCERT_LAUNCH_VALUES(window_max_backward_kernel, count, shape, count, winner, out_gradient,
                           add, in_gradient);
}
void window_mean(Stream stream, const WindowShape& shape, std::uint32_t n, const float* in,
                 float* out) {
  const std::size_t count = outputs_of(shape, n);
  SMOOTHCERT_LAUNCH_VALUES(window_mean_kernel, count, shape, count, in, out);
}
void window_mean_backward(Stream stream, const WindowShape& shape, std::uint32_t n,
                          const float* out_gradient, bool add, float* in_gradient) {
  const std::size_t count = inputs_of(shape, n);
  SMOOTHCERT_LAUNCH_VALUES(window_mean_backward_kernel, count, shape, count, out_gradient, add,
                           in_gradient);
}

void activate(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
              float* out) {
  const std::size_t count = layer.in_shape.size() * n;
  SMOOTHCERT_LAUNCH_VALUES(activation_kernel, count, layer.activation, layer.alpha, count, in, out);
}
void activate_backward(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                       const float* out_gradient, bool add, float* in_gradient) {
  const std::size_t count = layer.in_shape.size() * n;
  SMOOTHCERT_LAUNCH_VALUES(activation_backward_kernel, count, layer.activation, layer.alpha, count,
                           in, out_gradient, add, in_gradient);
}
void prelu(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* slopes,
           const float* in, float* out) {
  const PreluShape shape = prelu_shape(layer, n);
  SMOOTHCERT_LAUNCH_VALUES(prelu_kernel, shape.count, shape, slopes, in, out);
}
void prelu_backward(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* slopes,
                    const float* in, const float* out_gradient, bool add, float* in_gradient) {
  const PreluShape shape = prelu_shape(layer, n);
  SMOOTHCERT_LAUNCH_VALUES(prelu_backward_kernel, shape.count, shape, slopes, in, out_gradient, add,
                           in_gradient);
}
void prelu_slopes(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                  const float* out_gradient, bool add, float* gradient) {
  const PreluShape shape = prelu_shape(layer, n);
  SMOOTHCERT_LAUNCH_BLOCKS(prelu_slopes_kernel, shape.slopes, shape, in, out_gradient, add,
                           gradient);
}
void softmax(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in, float* out) {
  const std::uint32_t area = positions_of(layer);
  const std::size_t count = std::size_t{area} * n;
  const auto channels = static_cast<std::uint32_t>(layer.in_shape.channels);
  SMOOTHCERT_LAUNCH_VALUES(softmax_kernel, count, count, channels, area, in, out);
}
void softmax_backward(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* out,
                      const float* out_gradient, bool add, float* in_gradient) {
  const std::uint32_t area = positions_of(layer);
  const std::size_t count = std::size_t{area} * n;
  const auto channels = static_cast<std::uint32_t>(layer.in_shape.channels);
  SMOOTHCERT_LAUNCH_VALUES(softmax_backward_kernel, count, count, channels, area, out, out_gradient,
                           add, in_gradient);
}

void group_norm(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                const float* scale, const float* shift, float* moments, float* out) {
  const GroupNormShape shape = norm_shape_of(layer, n);
  SMOOTHCERT_LAUNCH_BLOCKS(group_norm_kernel, shape.groups * n, shape, in, scale, shift, moments,
                           out);
}
void group_norm_backward(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                         const float* scale, const float* moments, const float* out_gradient,
                         bool add, float* in_gradient) {
  const GroupNormShape shape = norm_shape_of(layer, n);
  SMOOTHCERT_LAUNCH_BLOCKS(group_norm_backward_kernel, shape.groups * n, shape, in, scale, moments,
                           out_gradient, add, in_gradient);
}
void group_norm_parameters(Stream stream, const TrainLayer& layer, std::uint32_t n, const float* in,
                           const float* moments, const float* out_gradient, bool add,
                           float* scale_gradient, float* shift_gradient) {
  SMOOTHCERT_LAUNCH_BLOCKS(group_norm_parameters_kernel, layer.weight_count,
                           norm_shape_of(layer, n), in, moments, out_gradient, add, scale_gradient,
                           shift_gradient);
}

void arithmetic(Stream stream, const ArithmeticShape& shape, std::size_t a_size, std::size_t b_size,
                std::uint32_t n, const float* a, const float* b, float* out) {
  const std::size_t count = std::size_t{n} * static_cast<std::size_t>(shape.channels) *
                            static_cast<std::size_t>(shape.height) *
                            static_cast<std::size_t>(shape.width);
  const OperandSizes sizes{a_size, b_size};
  SMOOTHCERT_LAUNCH_VALUES(arithmetic_kernel, count, shape, sizes, count, a, b, out);
}
void arithmetic_backward(Stream stream, const ArithmeticShape& shape, std::size_t a_size,
                         std::size_t b_size, bool second, std::uint32_t n, const float* other,
                         const float* out_gradient, bool add, float* in_gradient) {
  const std::size_t count = (second ? b_size : a_size) * n;
  const OperandSizes sizes{a_size, b_size};
  SMOOTHCERT_LAUNCH_VALUES(arithmetic_backward_kernel, count, shape, sizes, second, count, other,
                           out_gradient, add, in_gradient);
}

void copy_into(Stream stream, std::size_t whole, std::size_t first, std::size_t part,
               std::uint32_t n, const float* in, float* out) {
  const ImageSlice from{part, 0}, to{whole, first};
  SMOOTHCERT_LAUNCH_VALUES(copy_slice_kernel, part * n, part * n, part, from, to, in, false, out);
}
void copy_out_of(Stream stream, std::size_t whole, std::size_t first, std::size_t part,
                 std::uint32_t n, const float* in, bool add, float* out) {
  const ImageSlice from{whole, first}, to{part, 0};
  SMOOTHCERT_LAUNCH_VALUES(copy_slice_kernel, part * n, part * n, part, from, to, in, add, out);
}
void repeat(Stream stream, const float* values, std::size_t size, std::uint32_t n, float* out) {
  SMOOTHCERT_LAUNCH_VALUES(repeat_kernel, size * n, size * n, size, values, out);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
