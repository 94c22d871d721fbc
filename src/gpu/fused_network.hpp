// Which networks the fused fp16 kernel can evaluate, and the numbers it evaluates them with.
//
// Shape class: 1×28×28 → conv 5×5 (≤ 5 channels) → ReLU → maxpool 2 → conv 5×5 (≤ 5) → ReLU →
// maxpool 2 → linear (≤ 16 classes), each ReLU with an optional affine step (BatchNorm) before or
// behind it, an optional normalisation first. That is the study's network and its variants.
#pragma once

#include <optional>
#include <string>

#include "smoothcert/inference_plan.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {

/// Everything as it will be rounded to fp16 (biases of `linear` stay float). All steps between the
/// pools are folded, so that
///   a1 = Σ conv1·x,  h1 = relu(gain1·max(a1) + bias1),
///   a2 = Σ conv2·h1, h2 = relu(gain2·max(a2) + bias2),  logits·2^f = Σ linear·h2 + bias.
/// Gains are ± a power of two per channel (the sign of a negative BatchNorm scale, and what keeps
/// the weights in fp16's normal range); unused channels and classes are zero and −1e30.
struct FusedNetwork {
  static constexpr int kChannels = 5, kTaps = 25, kFeatures = 80, kClasses = 16;
  int classes = 0;
  float conv1[kChannels][kTaps] = {}, gain1[kChannels] = {}, bias1[kChannels] = {};
  float conv2[kChannels][kChannels][kTaps] = {}, gain2[kChannels] = {}, bias2[kChannels] = {};
  float linear[kClasses][kFeatures] = {}, bias[kClasses] = {};
};

/// The input as the kernel feeds it: lattice noise as integers v·2^−24 (the bits of an integer are
/// the fp16 number v·2^−24), continuous noise in units of [0,1].
inline constexpr double kLatticeInputUnit = 255.0 / 16777216.0;  ///< x of a pixel of value 1.0

/// The network as the kernel needs it, or nothing with the reason: another shape, a parameter that
/// is not finite, or values that could leave fp16's range (bounded from the weights and the noise).
std::optional<FusedNetwork> match_fused_network(const InferencePlan& plan, const NoiseSpec& noise,
                                                std::string* why_not);

}  // namespace smoothcert::gpu
