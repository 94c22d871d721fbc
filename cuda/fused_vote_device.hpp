// Fast mode on one GPU: the fused kernel, with two batches in flight.
#pragma once

#include <memory>
#include <string>

#include "gpu/fused_network.hpp"
#include "gpu/vote_worker.hpp"
#include "launch_fused.hpp"
#include "smoothcert/backend.hpp"

namespace smoothcert::gpu {

/// Samples of a batch that keep the fused kernel busy for milliseconds: launches cost nothing.
inline constexpr std::uint32_t kFusedBatch = 1u << 22;

/// The fused kernel of this device ("cuda fused fp16 mma"), or nothing with the reason: the network
/// does not fit (match_fused_network) or the device cannot hold it.
struct FusedPlan {
  FusedNetwork network;
  std::string kernel;
};
std::optional<FusedPlan> plan_fused(int device, const InferencePlan& plan, const NoiseSpec& noise,
                                    std::string* why_not);

std::unique_ptr<VoteDevice> make_fused_vote_device(int device, const FusedPlan& plan,
                                                   const VoteSettings& settings);

}  // namespace smoothcert::gpu
