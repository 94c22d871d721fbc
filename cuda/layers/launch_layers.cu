// Launches of the layers' kernels, and the engine that computes convolutions and linear layers with
// them.
#include "cuda/layers/batchnorm_kernels.cuh"
#include "cuda/layers/conv_kernels.cuh"
#include "cuda/layers/layer_engine.hpp"
#include "cuda/layers/linear_kernels.cuh"
#include "cuda/layers/pool_kernels.cuh"
#include "cuda/runtime/launch.cuh"
#include "cuda/train/launch_train.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// One thread a value.
#define SMOOTHCERT_LAUNCH_FLAT(kernel, count, ...)                                              \
  SMOOTHCERT_LAUNCH(kernel, dim3(blocks_for(count, block_threads())), dim3(block_threads()), 0, \
                    stream, __VA_ARGS__)

namespace {

std::uint32_t area_of(const ActivationShape& shape) {
  return static_cast<std::uint32_t>(shape.height * shape.width);
}
std::uint32_t channels_of(const ActivationShape& shape) {
  return static_cast<std::uint32_t>(shape.channels);
}

}  // namespace

void relu(Stream stream, const float* in, std::size_t count, float* out) {
  SMOOTHCERT_LAUNCH_FLAT(relu_kernel, count, in, count, out);
}

void bias_relu(Stream stream, const float* in, const float* bias, const ActivationShape& shape,
               std::uint32_t n, float* out) {
  const std::size_t count = shape.size() * n;
  SMOOTHCERT_LAUNCH_FLAT(bias_relu_kernel, count, in, bias, count, channels_of(shape),
                         area_of(shape), out);
}

void relu_backward(Stream stream, const float* out, const float* out_gradient, std::size_t count,
                   bool add, float* in_gradient) {
  SMOOTHCERT_LAUNCH_FLAT(relu_backward_kernel, count, out, out_gradient, count, add, in_gradient);
}

void add(Stream stream, const float* a, const float* b, std::size_t count, float* out) {
  SMOOTHCERT_LAUNCH_FLAT(add_kernel, count, a, b, count, out);
}

void pass_gradient(Stream stream, const float* out_gradient, std::size_t count, bool add,
                   float* in_gradient) {
  SMOOTHCERT_LAUNCH_FLAT(pass_gradient_kernel, count, out_gradient, count, add, in_gradient);
}

void swap_values(Stream stream, float* a, float* b, std::size_t count) {
  SMOOTHCERT_LAUNCH_FLAT(swap_kernel, count, a, b, count);
}

void affine(Stream stream, const float* in, const float* scale, const float* shift,
            const ActivationShape& shape, std::uint32_t n, float* out) {
  const std::size_t count = shape.size() * n;
  SMOOTHCERT_LAUNCH_FLAT(affine_kernel, count, in, scale, shift, count, channels_of(shape),
                         area_of(shape), out);
}

void affine_backward(Stream stream, const float* out_gradient, const float* scale,
                     const ActivationShape& shape, std::uint32_t n, bool add, float* in_gradient) {
  const std::size_t count = shape.size() * n;
  SMOOTHCERT_LAUNCH_FLAT(scale_gradient_kernel, count, out_gradient, scale, count,
                         channels_of(shape), area_of(shape), add, in_gradient);
}

void average(Stream stream, const float* in, const ActivationShape& in_shape, std::uint32_t n,
             float* out) {
  const std::size_t planes = std::size_t{channels_of(in_shape)} * n;
  SMOOTHCERT_LAUNCH_FLAT(average_kernel, planes, in, planes, area_of(in_shape), out);
}

void average_backward(Stream stream, const float* out_gradient, const ActivationShape& in_shape,
                      std::uint32_t n, bool add, float* in_gradient) {
  const std::size_t count = in_shape.size() * n;
  SMOOTHCERT_LAUNCH_FLAT(average_backward_kernel, count, out_gradient, count, area_of(in_shape),
                         add, in_gradient);
}

void add_bias(Stream stream, const float* bias, const ActivationShape& shape, std::uint32_t n,
              float* out) {
  const std::size_t count = shape.size() * n;
  SMOOTHCERT_LAUNCH_FLAT(add_bias_kernel, count, bias, count, channels_of(shape), area_of(shape),
                         out);
}

void bias_gradient(Stream stream, const float* out_gradient, const ActivationShape& shape,
                   std::uint32_t n, bool add, float* scratch, float* gradient) {
  const std::uint32_t channels = channels_of(shape), area = area_of(shape);
  // Few enough values are summed sooner by one block than a second kernel starts.
  const std::uint64_t values = std::uint64_t{n} * area;
  const std::uint32_t slices = values <= 4 * kSliceValues ? 1 : slice_count(values);
  SMOOTHCERT_LAUNCH(bias_sums_kernel, dim3(channels, slices), dim3(block_threads()), 0, stream, n,
                    channels, area, out_gradient, add, scratch, gradient);
  if (slices == 1) return;
  SMOOTHCERT_LAUNCH_FLAT(sum_slices_kernel, channels, scratch, std::size_t{channels}, slices, add,
                         gradient);
}

namespace {

PoolShape pool_shape(const Pooling& pool) {
  return {pool.in.height, pool.in.width, pool.out.height, pool.out.width,
          pool.kernel,    pool.stride,   pool.padding};
}

NormShape norm_shape(const TrainLayer& layer, std::uint32_t n) {
  return {n, channels_of(layer.in_shape), area_of(layer.in_shape)};
}

}  // namespace

void maxpool(Stream stream, const Pooling& pool, std::uint32_t n, const float* in, float* out,
             int* winner) {
  const std::size_t planes = std::size_t{channels_of(pool.in)} * n;
  const PoolInput input{in, nullptr, 1, false};
  SMOOTHCERT_LAUNCH_FLAT(maxpool_kernel, pool.out.size() * n, pool_shape(pool), planes, input, out,
                         winner);
}

void relu_maxpool(Stream stream, const Pooling& pool, std::uint32_t n, const float* in,
                  const float* bias, float* out, int* winner) {
  const std::size_t planes = std::size_t{channels_of(pool.in)} * n;
  const PoolInput input{in, bias, channels_of(pool.in), true};
  SMOOTHCERT_LAUNCH_FLAT(maxpool_kernel, pool.out.size() * n, pool_shape(pool), planes, input, out,
                         winner);
}

void maxpool_backward(Stream stream, const Pooling& pool, std::uint32_t n, const int* winner,
                      const float* pooled, const float* out_gradient, bool add,
                      float* in_gradient) {
  const std::size_t planes = std::size_t{channels_of(pool.in)} * n;
  SMOOTHCERT_LAUNCH_FLAT(maxpool_backward_kernel, pool.in.size() * n, pool_shape(pool), planes,
                         winner, pooled, out_gradient, add, in_gradient);
}

void batchnorm(Stream stream, const TrainLayer& layer, ForwardMode mode, std::uint32_t n,
               const float* in, const float* gamma, const float* beta, float* statistics,
               float* saved, float* scratch, float* out) {
  const NormShape s = norm_shape(layer, n);
  const dim3 grid(s.channels, slice_count(std::uint64_t{n} * s.area)), block(block_threads());
  if (mode == ForwardMode::train) {
    SMOOTHCERT_LAUNCH(norm_moments_kernel, grid, block, 0, stream, s, in, scratch);
    SMOOTHCERT_LAUNCH(batchnorm_train_kernel, grid, block, 0, stream, s,
                      static_cast<float>(layer.eps), static_cast<float>(layer.momentum), in, gamma,
                      beta, scratch, statistics, saved, out);
  } else {
    SMOOTHCERT_LAUNCH(batchnorm_eval_kernel, grid, block, 0, stream, s,
                      static_cast<float>(layer.eps), in, gamma, beta, statistics, saved, out);
  }
}

void batchnorm_backward(Stream stream, const TrainLayer& layer, ForwardMode mode, std::uint32_t n,
                        const float* in, const float* gamma, const float* saved,
                        const float* out_gradient, float* scratch, float* gamma_gradient,
                        float* beta_gradient, bool add_parameters, float* in_gradient, bool add,
                        bool through_relu) {
  const NormShape s = norm_shape(layer, n);
  const bool train = mode == ForwardMode::train;
  const dim3 grid(s.channels, slice_count(std::uint64_t{n} * s.area)), block(block_threads());
  if (train || gamma_gradient) {
    SMOOTHCERT_LAUNCH(norm_gradient_sums_kernel, grid, block, 0, stream, s, in, saved, out_gradient,
                      scratch);
  }
  const NormGradients to{gamma_gradient, beta_gradient, add_parameters,
                         in_gradient,    add,           through_relu};
  SMOOTHCERT_LAUNCH(batchnorm_backward_kernel, grid, block, 0, stream, s, train, in, gamma, saved,
                    out_gradient, scratch, to);
}

namespace {

class DirectEngine final : public LayerEngine {
 public:
  std::string describe() const override { return "direct kernels fp32"; }
  void prepare(const ConvShape&, bool, bool) override {}

  void conv(Stream stream, const ConvShape& s, const float* in, const float* weights,
            const float* bias, float* out) override {
    SMOOTHCERT_LAUNCH_FLAT(conv_kernel, out_size(s), s, in, weights, bias, out);
  }
  void conv_input_gradient(Stream stream, const ConvShape& s, const float* out_gradient,
                           const float* weights, bool add, float* in_gradient) override {
    SMOOTHCERT_LAUNCH_FLAT(conv_input_gradient_kernel, in_size(s), s, out_gradient, weights, add,
                           in_gradient);
  }
  void conv_weight_gradient(Stream stream, const ConvShape& s, const float* in,
                            const float* out_gradient, bool add, float* gradient,
                            float* bias_grad) override {
    switch (s.kernel) {
      case 1:
        return weight_sums<1>(stream, s, in, out_gradient, add, gradient, bias_grad);
      case 2:
        return weight_sums<2>(stream, s, in, out_gradient, add, gradient, bias_grad);
      case 3:
        return weight_sums<3>(stream, s, in, out_gradient, add, gradient, bias_grad);
      case 4:
        return weight_sums<4>(stream, s, in, out_gradient, add, gradient, bias_grad);
      case 5:
        return weight_sums<5>(stream, s, in, out_gradient, add, gradient, bias_grad);
      default: {
        const int weights = s.out_channels * s.in_channels * s.kernel * s.kernel;
        SMOOTHCERT_LAUNCH(conv_weight_gradient_kernel, dim3(static_cast<unsigned>(weights)),
                          dim3(block_threads()), 0, stream, s, in, out_gradient, add, gradient);
        biases(stream, s, out_gradient, add, bias_grad);
      }
    }
  }

  void linear(Stream stream, const ConvShape& s, const float* in, const float* weights,
              const float* bias, float* out) override {
    const unsigned threads = block_threads();
    SMOOTHCERT_LAUNCH(linear_kernel, dim3(blocks_for(out_size(s), threads / 32)), dim3(threads), 0,
                      stream, linear_shape(s), in, weights, bias, out);
  }
  void linear_input_gradient(Stream stream, const ConvShape& s, const float* out_gradient,
                             const float* weights, bool add, float* in_gradient) override {
    SMOOTHCERT_LAUNCH_FLAT(linear_input_gradient_kernel, in_size(s), linear_shape(s), out_gradient,
                           weights, add, in_gradient);
  }
  void linear_weight_gradient(Stream stream, const ConvShape& s, const float* in,
                              const float* out_gradient, bool add, float* gradient,
                              float* bias_grad) override {
    const LinearShape shape = linear_shape(s);
    SMOOTHCERT_LAUNCH(linear_weight_gradient_kernel, dim3(blocks_for(shape.in, 32), shape.out),
                      dim3(block_threads()), 0, stream, shape, in, out_gradient, add, gradient);
    biases(stream, s, out_gradient, add, bias_grad);
  }

 private:
  static std::size_t out_size(const ConvShape& s) {
    return std::size_t(s.images) * std::size_t(s.out_channels) * std::size_t(s.out_height) *
           std::size_t(s.out_width);
  }
  static std::size_t in_size(const ConvShape& s) {
    return std::size_t(s.images) * std::size_t(s.in_channels) * std::size_t(s.in_height) *
           std::size_t(s.in_width);
  }
  static LinearShape linear_shape(const ConvShape& s) {
    return {static_cast<std::uint32_t>(s.images), static_cast<std::uint32_t>(s.in_channels),
            static_cast<std::uint32_t>(s.out_channels)};
  }
  void biases(Stream stream, const ConvShape& s, const float* out_gradient, bool add,
              float* gradient) {
    if (!gradient) return;
    bias_gradient(stream, out_gradient, {s.out_channels, s.out_height, s.out_width},
                  static_cast<std::uint32_t>(s.images), add, scratch_, gradient);
  }

  template <int kernel>
  void weight_sums(Stream stream, const ConvShape& s, const float* in, const float* out_gradient,
                   bool add, float* gradient, float* bias_grad) {
    const auto pairs = static_cast<unsigned>(s.out_channels * s.in_channels);
    const auto outs = static_cast<std::size_t>(s.out_channels);
    const std::size_t weights = std::size_t{pairs} * kernel * kernel;
    const std::uint32_t slices =
        slice_count(std::uint64_t(s.images) * std::uint64_t(s.out_height * s.out_width));
    float* bias_sums = bias_grad ? scratch_ + slices * weights : nullptr;
    SMOOTHCERT_LAUNCH(conv_weight_sums_kernel<kernel>, dim3(pairs, slices), dim3(block_threads()),
                      0, stream, s, in, out_gradient, scratch_, bias_sums);
    SMOOTHCERT_LAUNCH_FLAT(sum_slices_kernel, weights, scratch_, weights, slices, add, gradient);
    if (bias_grad) {
      SMOOTHCERT_LAUNCH_FLAT(sum_slices_kernel, outs, bias_sums, outs, slices, add, bias_grad);
    }
  }
};

}  // namespace

std::unique_ptr<LayerEngine> make_direct_engine() { return std::make_unique<DirectEngine>(); }

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
