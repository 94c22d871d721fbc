// The weights of the fused kernel as matrix fragments: convolutions written as Toeplitz matrices,
// in the order in which the lanes of a warp load them. Host logic, no CUDA.
#pragma once

#include <cstdint>
#include <vector>

#include "gpu/fused_network.hpp"

namespace smoothcert::gpu {

/// Fragments (16 × 8 halves each) by number; docs/fused-kernel.md draws the ownership map.
struct FragmentMap {
  static constexpr int kConv1 = 0;    ///< + 3·m + cc: pool partner m = 2·dy + dx, column pair cc
  static constexpr int kConv1x = 12;  ///< + 4·dy + cc: channel 4
  static constexpr int kConv2 = 20;   ///< + 16·d: input row pair d below the output row pair
  static constexpr int kLinear = 68;  ///< + 4·p: features of pooled row p
  static constexpr int kCount = 84;
};

/// Element (k, n) of a fragment, k = 0..15, n = 0..7, before rounding to fp16.
float fragment_value(const FusedNetwork& net, int fragment, int k, int n);

/// Lane words as the mma.sync kernel loads them: pair p of fragments, lane l at [4·(32·p + l)]: two
/// words of fragment 2p, two of 2p + 1. Behind them two groups of constants a lane, for channel
/// t = lane mod 4 and for channel 4, each twice in a word: {gain1[t], bias1[t], gain1[4],
/// bias1[4]}, {gain2[t], bias2[t], gain2[4], bias2[4]}.
inline constexpr int kFragmentPairs = FragmentMap::kCount / 2, kLaneGroups = kFragmentPairs + 2;
std::vector<std::uint32_t> pack_fragments(const FusedNetwork& net);

/// Weights as the wgmma kernel reads them: bytes at which the blocks of B begin, each of k16 by N
/// columns in core matrices (cuda/runtime/warpgroup.cuh), and behind them the lane groups of the
/// linear layer and the constants as above.
struct WarpgroupMap {
  static constexpr int kConv1 = 0;                   ///< + 1024·cc: N = 32, pool partners m
  static constexpr int kConv1x = kConv1 + 3 * 1024;  ///< + 512·cc: N = 16, dy
  static constexpr int kConv2 = kConv1x + 4 * 512;   ///< + 6400·d + 1280·k: N = 40
  static constexpr int kLanes = kConv2 + 15 * 1280;  ///< lane groups kLinear/2 and up
  static constexpr int kFirstLaneGroup = FragmentMap::kLinear / 2;
  static constexpr int kBytes = kLanes + (kLaneGroups - kFirstLaneGroup) * 512;
};
std::vector<std::uint32_t> pack_warpgroup(const FusedNetwork& net);

}  // namespace smoothcert::gpu
