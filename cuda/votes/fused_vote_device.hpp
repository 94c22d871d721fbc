// Votes by one fused kernel on one GPU, with two batches in flight.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cuda/votes/launch_fused.hpp"
#include "gpu/exact_program.hpp"
#include "gpu/fused_network.hpp"
#include "gpu/vote_worker.hpp"

namespace smoothcert::gpu {

/// The fused kernel for a network and these settings: fp16 on tensor cores in fast mode, float32 in
/// the plan's order in exact mode.
struct FusedPlan {
  std::optional<FusedNetwork> half;   ///< fast mode
  std::optional<ExactProgram> exact;  ///< exact mode
  std::string kernel;                 ///< for the record: "cuda fused fp16 mma"
  std::size_t image_size = 0;
  int classes = 0;
  std::uint32_t batch = 0;  ///< samples that keep the kernel busy for milliseconds
};

/// Nothing, with the reason, where the network does not fit (match_fused_network,
/// make_exact_program) or the device cannot hold it.
std::optional<FusedPlan> plan_fused(int device, const InferencePlan& plan,
                                    const VoteSettings& settings, std::string* why_not);

std::unique_ptr<VoteDevice> make_fused_vote_device(int device, const FusedPlan& plan,
                                                   const VoteSettings& settings);

}  // namespace smoothcert::gpu
