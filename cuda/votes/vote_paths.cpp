// The list of vote paths: which fits, what it is called, how its devices are made.
#include "cuda/votes/vote_paths.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "cuda/votes/feature_vote_device.hpp"
#include "cuda/votes/fused_vote_device.hpp"
#include "cuda/votes/library_vote_device.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
namespace {

/// What is asked for, and why the paths tried so far do not fit.
struct Request {
  const DevicePlans& plans;
  const VoteSettings& settings;
  std::vector<std::string> why_not;
};

/// Nothing, with one more reason in `why_not`, where the path does not fit.
using TryPath = std::optional<VotePath> (*)(Request&);

std::optional<VotePath> fused_path(Request& request) {
  std::string& why_not = request.why_not.emplace_back("switched off");
  if (!request.settings.fused) return std::nullopt;
  std::optional<FusedPlan> fused;
  for (const auto& plan : request.plans) {
    fused = plan_fused(plan->device, plan->plan, request.settings, &why_not);
    if (!fused) return std::nullopt;
  }
  const auto shared = std::make_shared<const FusedPlan>(*std::move(fused));
  return VotePath{shared->batch, shared->batch,
                  [shared, plans = request.plans, settings = request.settings](std::size_t i) {
                    return make_fused_vote_device(plans[i]->device, *shared, settings);
                  },
                  [shared] { return shared->kernel; }, shared->half ? "convnn" : ""};
}

std::optional<VotePath> feature_path(Request& request) {
  std::string& why_not = request.why_not.emplace_back("switched off");
  if (!request.settings.fused) return std::nullopt;
  std::vector<FeaturePlan> features;
  for (const auto& plan : request.plans) {
    auto here = plan_features(plan->device, plan->plan, request.settings, &why_not);
    if (!here) return std::nullopt;
    features.push_back(*std::move(here));
  }
  const std::uint32_t tile = features.front().tile;
  return VotePath{tile, tile,
                  [features = std::move(features), plans = request.plans,
                   settings = request.settings](std::size_t i) {
                    return make_feature_vote_device(plans[i]->device, features[i], settings);
                  },
                  [device = request.plans.front()->device, whole = request.why_not.front()] {
                    return describe_feature_votes(device) + " (not fused whole: " + whole + ")";
                  },
                  "lenet"};
}

std::optional<VotePath> library_path(Request& request) {
  if (request.settings.mode != Mode::fast) return std::nullopt;
  const std::uint32_t tile = request.plans.front()->library_tile;
  std::string reasons;
  if (request.settings.fused)
    reasons =
        " (not fused: " + request.why_not.at(0) + "; features: " + request.why_not.at(1) + ")";
  return VotePath{
      tile, tile,
      [plans = request.plans, settings = request.settings](std::size_t i) {
        return make_library_vote_device(plans[i], settings);
      },
      [plan = request.plans.front(), reasons] { return describe_library_votes(*plan) + reasons; }};
}

std::optional<VotePath> exact_path(Request& request) {
  std::uint32_t batch = 1u << 15;
  for (const auto& plan : request.plans) batch = std::min(batch, default_vote_batch(*plan));
  return VotePath{batch, 256,
                  [plans = request.plans, settings = request.settings](std::size_t i) {
                    return make_exact_vote_device(plans[i], settings);
                  },
                  [] { return std::string("cuda exact direct kernels"); }};
}

constexpr TryPath kPaths[] = {fused_path, feature_path, library_path, exact_path};

}  // namespace

VotePath choose_vote_path(const DevicePlans& plans, const VoteSettings& settings) {
  Request request{plans, settings, {}};
  for (const TryPath path : kPaths)
    if (auto found = path(request)) return *std::move(found);
  throw Error("no way to count votes on this GPU; please report this");
}

}  // namespace smoothcert::gpu
