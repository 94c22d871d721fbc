// The hot loops that only training and gradients need, compiled once per instruction set
// (train_kernels_*.cpp) like those of lane_kernels.hpp, whose layouts they share: one image per
// lane, an activation is [channel][row][column][lane].
//
// A gradient kernel overwrites its result. Lanes without an image hold a copy of one and a gradient
// of exactly zero, so that sums over lanes need no mask; only the kernels that could make something
// of nothing (BatchNorm) take the number of lanes in use.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/lane_kernels.hpp"
#include "smoothcert/attack_spec.hpp"

namespace smoothcert::cpu {

/// Training noise for one lane group: lane l holds data-set image images[l].
struct ImageNoise {
  const std::uint32_t* images = nullptr;  ///< one per lane
  std::size_t count = 0;                  ///< pixels
  std::uint64_t seed = 0;
  std::uint32_t step = 0;  ///< global: Philox counter word "sample"
  float sigma = 0;
  bool clamp = true;
  std::uint32_t width = 0;  ///< W of splitting noise in place of σ's; 0: Gaussian
};

/// Weight gradient of a convolution for one lane group.
struct ConvWeightStep {
  int in_channels = 0, in_height = 0, in_width = 0;  ///< of the input, already padded
  int kernel = 0, stride = 1;
  int out_channels = 0, out_height = 0, out_width = 0;
};

/// Weight gradient of rows [first, last) of a linear layer, over all lane groups of a batch.
struct LinearWeightStep {
  int inputs = 0, first = 0, last = 0, groups = 0;
  const float* in = nullptr;                 ///< [group][input][lane]
  const float* grad = nullptr;               ///< [group][output][lane]
  std::size_t in_group = 0, grad_group = 0;  ///< strides in floats
  bool accumulate = false;
};

/// BatchNorm backward of one channel: dx = scale·(dy − mean_dy − (x − mean)·slope), where `slope`
/// is Σdy(x−mean) / (n·(variance + eps)).
struct NormBackward {
  float scale = 0, mean_dy = 0, mean = 0, slope = 0;
};

/// BatchNorm and the 2×2 max pooling, stride 2, that alone reads it.
struct NormPoolStep {
  int channels = 0, height = 0, width = 0;  ///< of the input
  const float* scale = nullptr;             ///< BatchNorm's y = x·scale + shift
  const float* shift = nullptr;
  bool relu = false;  ///< backward: the input is a relu's output, whose gradient is wanted
};

struct AdamParameters {
  float step_size, root_scale, beta1, beta2, eps, weight_decay;
};
struct SgdParameters {
  float learning_rate, momentum, weight_decay;
};

struct TrainKernels {
  Isa isa;
  int lanes;
  /// pixels[l]: the 8-bit image of lane l → [pixel][lane] floats in [0, 1].
  void (*load_images)(const std::uint8_t* const* pixels, std::size_t count, float* out);
  void (*add_noise)(const ImageNoise& noise, float* x);

  void (*relu_backward)(std::size_t count, const float* out, const float* grad, float* grad_in);
  void (*maxpool_backward)(const PoolStep& step, const float* in, const float* grad,
                           float* grad_in);
  void (*average_backward)(std::size_t channels, std::size_t area, const float* grad,
                           float* grad_in);
  void (*scale_channels)(std::size_t channels, std::size_t area, const float* scale,
                         const float* in, float* out);

  /// moments[2c], moments[2c + 1] = mean of x and Σ(x − mean)² over the first `valid` lanes.
  void (*channel_moments)(std::size_t channels, std::size_t area, int valid, const float* in,
                          double* moments);
  /// sums[2c], sums[2c + 1] = Σdy, Σdy·(x − mean[c]).
  void (*norm_backward_sums)(std::size_t channels, std::size_t area, int valid, const float* mean,
                             const float* in, const float* grad, double* sums);
  /// Lanes from `valid` on get a gradient of zero.
  void (*norm_backward)(std::size_t channels, std::size_t area, int valid,
                        const NormBackward* channel, const float* in, const float* grad,
                        float* grad_in);

  void (*norm_pool)(const NormPoolStep& step, const float* in, float* out);
  void (*norm_pool_sums)(const NormPoolStep& step, int valid, const float* mean, const float* in,
                         const float* grad, double* sums);
  void (*norm_pool_backward)(const NormPoolStep& step, int valid, const NormBackward* channel,
                             const float* in, const float* grad, float* grad_in);

  /// weights: OIHW, overwritten with the sum over the group's lanes.
  void (*conv_weights)(const ConvWeightStep& step, const float* in, const float* grad,
                       float* weights);
  /// sums[c] = Σ over positions and lanes.
  void (*channel_sums)(std::size_t channels, std::size_t area, const float* grad, float* sums);
  /// weights: out × in; rows [first, last) are written (or added to).
  void (*linear_weights)(const LinearWeightStep& step, float* weights);

  /// One attack step on every lane: x += length along g in the geometry of `kind`; unclamped.
  void (*attack_step)(AttackKind kind, std::size_t count, const float* grad, float length,
                      float* x);
  /// Back into the ε-ball around `centre` (PGD kinds) and into [0, 1].
  void (*project)(AttackKind kind, std::size_t count, const float* centre, float epsilon, float* x);

  void (*adam)(const AdamParameters& step, std::size_t count, const float* grad, float* parameter,
               float* m, float* v);
  void (*sgd)(const SgdParameters& step, std::size_t count, const float* grad, float* parameter,
              float* buffer);

  // Of the layers of lane_steps.hpp.
  void (*window_conv_input)(const WindowStep& step, const float* grad, float* grad_in);
  /// weights: O × C/groups × ky × kx, overwritten with the sum over the group's lanes.
  void (*window_conv_weights)(const WindowShape& shape, const float* in, const float* grad,
                              float* weights);
  void (*window_max_backward)(const WindowShape& shape, const float* in, const float* grad,
                              float* grad_in);
  void (*window_mean_backward)(const WindowShape& shape, const float* grad, float* grad_in);
  void (*activate_backward)(Activation kind, float alpha, std::size_t count, const float* in,
                            const float* grad, float* grad_in);
  void (*prelu_backward)(std::size_t channels, std::size_t area, const float* slopes,
                         const float* in, const float* grad, float* grad_in);
  /// sums[c] = Σ grad · min(in, 0).
  void (*prelu_slopes)(std::size_t channels, std::size_t area, const float* in, const float* grad,
                       float* sums);
  void (*softmax_backward)(std::size_t channels, std::size_t area, const float* out,
                           const float* grad, float* grad_in);
  /// grad_in, and the two sums together, may be null: not wanted.
  void (*group_norm_backward)(const NormStep& step, const float* in, const float* grad,
                              float* grad_in, float* scale_sums, float* shift_sums);
  /// Of the first operand, or the second; `other` holds the other one's values.
  void (*arithmetic_backward)(const ArithmeticShape& shape, bool second, const float* other,
                              const float* grad, float* grad_in);
};

extern const TrainKernels train_kernels_baseline, train_kernels_avx2, train_kernels_avx512;

/// Throws UsageError where active_isa() does.
const TrainKernels& active_train_kernels();

}  // namespace smoothcert::cpu
