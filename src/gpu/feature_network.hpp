// Which networks the fused feature kernel can begin, and the numbers it evaluates them with.
//
// Shape class: 1×28×28 → conv 5×5 (≤ 20 channels) → ReLU → maxpool 2 → conv 5×5 (≤ 56) → ReLU →
// maxpool 2 → linear (→ ReLU → linear)*, an optional affine step (BatchNorm) before or behind each
// ReLU, an optional normalisation first. That is LeNet as the literature trains it. The
// convolutions run in one kernel whose features, in fp16, go to batched matrix products.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "smoothcert/inference_plan.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {

/// One linear layer: y = scale·(Σ weights·x) + bias, weights as they will be rounded to fp16.
struct FeatureLinear {
  int in = 0, out = 0;
  float scale = 1;             ///< a power of two
  std::vector<float> weights;  ///< out × in
  std::vector<float> bias;
};

/// Everything as it will be rounded to fp16 (gains, scales and biases stay float). With all steps
/// between the pools folded
///   a1 = Σ conv1·x,  h1 = relu(gain1·max(a1) + bias1),
///   a2 = Σ conv2·h1, h2 = relu(gain2·max(a2) + bias2);
/// then come the linear layers, with a ReLU between two. Gains are ± a power of two, which undoes
/// what brings each channel's weights, and each layer's activations, to the upper end of fp16's
/// range; the sign is that of a negative BatchNorm scale.
struct FeatureNetwork {
  static constexpr int kChannels1 = 20, kChannels2 = 56, kTaps = 25;
  static constexpr int kWindows = 16;  ///< pooled outputs of the second convolution, a channel
  int classes = 0;
  int channels1 = 0, channels2 = 0;
  std::vector<float> conv1, gain1, bias1;  ///< channels1 × 25
  std::vector<float> conv2, gain2, bias2;  ///< channels2 × channels1 × 25
  std::vector<FeatureLinear> linear;       ///< the first one's inputs in NCHW order
};

/// The network as the kernel needs it, or nothing with the reason: another shape, a parameter that
/// is not finite, weights beyond float's range.
std::optional<FeatureNetwork> match_feature_network(const InferencePlan& plan,
                                                    const NoiseSpec& noise, std::string* why_not);

}  // namespace smoothcert::gpu
