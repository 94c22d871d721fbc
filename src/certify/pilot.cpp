// A few samples of a few images, before a run that may take hours.
#include "smoothcert/pilot.hpp"

#include <algorithm>

#include "smoothcert/backend.hpp"
#include "smoothcert/subsets.hpp"

namespace smoothcert {
namespace {

constexpr std::size_t kImages = 32;
constexpr std::uint64_t kSamples = 128;

}  // namespace

std::vector<StageCounts> pilot_votes(BackendModel& model, const Dataset& data,
                                     std::span<const std::uint32_t> indices,
                                     const CertifySettings& settings) {
  const auto images = spread_over(indices, kImages);
  std::vector<VoteJob> jobs;
  for (const std::uint32_t i : images)
    jobs.push_back({i, data.image(i).data(), Purpose::select, 0, kSamples});
  std::vector<StageCounts> pilot(images.size());
  model
      .count_votes(vote_settings(settings, data.shape), std::move(jobs),
                   [&](const VoteResult& r) {
                     pilot[r.job] = {r.counts, r.invalid};
                   })
      ->wait();
  return pilot;
}

double expected_samples(std::span<const StageCounts> pilot, const CertifySettings& settings,
                        const ImageShape& shape) {
  const auto n0 = static_cast<double>(settings.n0);
  if (pilot.empty() || settings.stopping.rule == StopRule::at_n_max)
    return n0 + static_cast<double>(settings.n);
  const BoundSettings bounds = bound_settings(settings, shape);
  const auto looks = checkpoints(settings.n);
  double sum = 0;
  for (const StageCounts& votes : pilot) {
    const VoteSplit split = vote_split(votes, votes);
    const auto stops = [&](std::uint64_t n) {
      return stop_here(projected(split, n), bounds, settings.stopping, looks.size()).has_value();
    };
    const auto at = std::ranges::find_if(looks, stops);
    sum += static_cast<double>(at == looks.end() ? settings.n : *at);
  }
  return n0 + sum / static_cast<double>(pilot.size());
}

}  // namespace smoothcert
