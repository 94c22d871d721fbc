// Votes on one GPU by the fused feature kernel and matrix products, with two batches in flight.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cuda/votes/launch_features.hpp"
#include "gpu/feature_network.hpp"
#include "gpu/vote_worker.hpp"

namespace smoothcert::gpu {

/// The feature kernel for a network and these settings.
struct FeaturePlan {
  FeatureNetwork network;
  FeatureShape shape;
  std::size_t image_size = 0;
  std::uint32_t tile = 0;  ///< samples whose features are multiplied at once, always
};

/// Nothing, with the reason, where the network does not fit (match_feature_network), the mode is
/// not fast, or the device has too little shared memory.
std::optional<FeaturePlan> plan_features(int device, const InferencePlan& plan,
                                         const VoteSettings& settings, std::string* why_not);

/// prepare() takes FeaturePlan::tile samples and nothing else.
std::unique_ptr<VoteDevice> make_feature_vote_device(int device, const FeaturePlan& plan,
                                                     const VoteSettings& settings);

/// For the record: "cuda fused features fp16 mma + cuBLAS 13.1.0 fp16, tiles of 32768 samples".
std::string describe_feature_votes(int device);

}  // namespace smoothcert::gpu
