#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "smoothcert/error.hpp"
#include "smoothcert/sweep.hpp"
#include "store/index_set.hpp"

namespace smoothcert {

namespace {

// `max` = 0 is "all" in a sweep.
std::vector<std::uint32_t> subset_indices(const SubsetSpec& subset, std::size_t size) {
  std::vector<std::uint32_t> indices;
  for (std::uint64_t i = subset.start; i < size && (subset.max == 0 || indices.size() < subset.max);
       i += std::min<std::uint64_t>(subset.skip, size)) {  // a huge step must not wrap around
    indices.push_back(static_cast<std::uint32_t>(i));
  }
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
                CertifySettings settings{sigma,      n0,         n,         alpha, seed,
                                         spec.noise, spec.clamp.value_or(true), spec.mode, p_b};
                settings.sequential = spec.stopping.has_value();
                settings.stopping = spec.stopping.value_or(Stopping{});
                validate(settings);
                plan.runs.push_back({m, settings, derived});
                plan.images += plan.indices.size();
                if (!derived) plan.samples += plan.indices.size() * (n0 + n);
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

double measure_throughput(BackendModel& model, const Dataset& data, const CertifySettings& settings,
                          double seconds) {
  VoteSettings votes;
  votes.noise = {settings.noise, settings.sigma, settings.clamp, settings.seed, nullptr};
  if (settings.noise == NoiseLaw::lattice) {
    votes.noise.table = make_lattice_table(settings.sigma, data.shape.size());
  }
  votes.mode = settings.mode;
  const auto count = [&](std::uint64_t samples) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<VoteJob> jobs;  // several, for backends that share them out
    constexpr std::uint64_t kJob = 4096;
    for (std::uint64_t first = 0; first < samples; first += kJob) {
      jobs.push_back(
          {0, data.image(0).data(), Purpose::estimate, first, std::min(samples, first + kJob)});
    }
    model.count_votes(votes, std::move(jobs), [](const VoteResult&) {})->wait();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  count(64);  // first touch: tables, arenas, kernels
  std::uint64_t samples = 1024;
  for (;;) {
    const double took = count(samples);
    if (took >= seconds / 2 || samples >= (std::uint64_t{1} << 30)) {
      return static_cast<double>(samples) / std::max(took, 1e-9);
    }
    samples *= took > seconds / 20 ? 2 : 4;
  }
}

std::string time_estimate_text(double seconds) {
  if (seconds < 1) return "under a second";
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<std::uint64_t>(std::llround(seconds / 60));
  if (minutes < 60) return fmt::format("{} min", minutes);
  if (minutes < 48 * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  return fmt::format("{} d {} h", minutes / 1440, minutes / 60 % 24);
}

}  // namespace smoothcert
