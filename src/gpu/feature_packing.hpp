// The weights of the fused feature kernel in the order in which the lanes of a warp load them, and
// those of the linear layers behind it. Host logic, no CUDA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gpu/feature_network.hpp"

namespace smoothcert::gpu {

/// Where the parts begin, in 32-bit words. A matrix fragment of m16n8k16 is two words a lane: B
/// rows 2t, 2t + 1 and 2t + 8, 2t + 9 of column g.
struct FeatureMap {
  static constexpr int kBlocks1 = 2, kGroups1 = 3;   ///< k16 blocks, n8 groups of conv1
  static constexpr int kBlocks2 = 32, kGroups2 = 7;  ///< of conv2
  /// conv2, block b: three times four words a lane (groups 0 and 1, 2 and 3, 4 and 5), then two.
  static constexpr int kConv2 = 0, kBlockWords = kGroups2 * 64;
  /// conv1: [block][group][lane][2].
  static constexpr int kConv1 = kConv2 + kBlocks2 * kBlockWords;
  /// For each channel pair 4·group + t of conv1, then of conv2: two gains, two biases.
  static constexpr int kEpilogue = kConv1 + kBlocks1 * kGroups1 * 64;
  static constexpr int kWords = kEpilogue + (kGroups1 + kGroups2) * 16;
};

/// Row k of a convolution's matrix. conv1: five rows of five taps and a zero, then two zeros.
/// conv2: (tap, channel) with channels last, then twelve zeros.
struct FeatureRow {
  int tap = -1, channel = 0;  ///< tap −1: a zero
};
FeatureRow conv1_row(int k);
FeatureRow conv2_row(int k);

std::vector<std::uint32_t> pack_features(const FeatureNetwork& net);

/// Feature f of a sample: channel pairs outermost, then the 16 pooled outputs, then the pair's two.
struct FeaturePlace {
  explicit FeaturePlace(int f) : channel(f / 32 * 2 + f % 2), window(f % 32 / 2) {}
  int channel, window;
};
/// Features of a sample as the kernel writes them: those of an odd last channel are zeros.
inline int feature_count(const FeatureNetwork& net) { return (net.channels2 + 1) / 2 * 32; }

/// A linear layer for fp16 matrix products: columns in the order of the features for the first one,
/// rows and columns padded with zeros to multiples of 16.
struct PackedLinear {
  int in = 0, out = 0;  ///< padded
  float scale = 1;
  std::vector<std::uint16_t> weights;  ///< out × in halves
  std::vector<float> bias;             ///< out
};
std::vector<PackedLinear> pack_linear(const FeatureNetwork& net);

}  // namespace smoothcert::gpu
