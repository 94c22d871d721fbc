// The runs that a sweep asks for.
#include "smoothcert/sweep_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "smoothcert/error.hpp"
#include "smoothcert/subsets.hpp"
#include "smoothcert/sweep_file.hpp"
#include "store/index_set.hpp"

namespace smoothcert {

namespace {

std::vector<std::uint32_t> subset_indices(const SubsetSpec& subset, std::size_t size) {
  const std::size_t most = subset.max == 0 ? size : subset.max;  // 0 is "all" in a sweep
  auto indices = spaced_indices(size, subset.start, subset.skip, most);
  if (indices.empty()) {
    throw UsageError(fmt::format("the subset start {}, skip {}, max {} holds none of {} images",
                                 subset.start, subset.skip, subset.max, size));
  }
  return subset.sample == 0 ? indices : sampled_indices(indices, subset.sample, subset.sample_seed);
}

// Lists multiply: a slip of the pen, or a hostile file, must not ask for more memory than there is.
void check_size(const SweepSpec& spec) {
  constexpr std::uint64_t kMostRuns = 100000;
  std::uint64_t runs = 0;
  for (const SweepModel& model : spec.models)
    runs += model.sigmas.empty() ? spec.sigmas.size() : model.sigmas.size();
  for (const std::size_t factor :
       {spec.seeds.size(), spec.n0.size(), spec.n.size(), spec.alphas.size(), spec.p_bs.size()}) {
    if (runs > kMostRuns) break;  // before the product can overflow
    runs *= factor;
  }
  if (runs > kMostRuns) {
    throw UsageError(fmt::format("the sweep asks for more than {} runs; split it", kMostRuns));
  }
}

}  // namespace

SweepPlan plan_sweep(const SweepSpec& spec, std::size_t dataset_size) {
  SweepPlan plan;
  check_size(spec);
  for (const SubsetSpec& subset : spec.subsets) {
    plan.indices = store::index_union(plan.indices, subset_indices(subset, dataset_size));
  }
  for (std::size_t m = 0; m < spec.models.size(); ++m) {
    const SweepModel& model = spec.models[m];
    for (const double sigma : model.sigmas.empty() ? spec.sigmas : model.sigmas) {
      for (const std::uint64_t seed : spec.seeds) {
        for (const std::uint64_t n0 : spec.n0) {
          for (const std::uint64_t n : spec.n) {
            bool derived = false;
            for (const double alpha : spec.alphas) {
              for (const SecondBound p_b : spec.p_bs) {
                CertifySettings settings{
                    sigma,     n0, n, alpha, seed, spec.noise, spec.clamp.value_or(true),
                    spec.mode, p_b};
                settings.sequential = spec.stopping.has_value();
                settings.stopping = spec.stopping.value_or(Stopping{});
                settings = settled(settings);
                validate(settings);
                plan.runs.push_back({m, settings, derived});
                plan.images += plan.indices.size();
                if (!derived) plan.samples += plan.indices.size() * (settings.n0 + settings.n);
                derived = !settings.sequential;  // else where to stop depends on both
              }
            }
          }
        }
      }
    }
  }
  return plan;
}

}  // namespace smoothcert
