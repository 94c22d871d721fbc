// How fast votes are counted, and what bounds it. One JSON line per invocation, so that
// compare_certification can alternate it with a peer:
//
//   certification_bench [--network convnn] [--threads 2] [--noise lattice|gaussian] [--no-clamp]
//                       [--seconds 2]
//
// The floor: the network's multiply-adds at the FMA rate of the instruction set in use, measured by
// independent register-only chains, plus one image of noise at the rate of the noise kernel alone;
// both on one thread, times the threads.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cpu/lane_program.hpp"
#include "cpu/votes.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert::cpu {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Shortest time of `repeat` calls.
template <class F>
double shortest(int repeat, const F& f) {
  double best = 1e30;
  for (int i = 0; i < repeat; ++i) {
    const auto start = Clock::now();
    f();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

constexpr int kChains = 12, kRounds = 20000;

__attribute__((target("avx2,fma"))) void chains_avx2() {
  __m256 a[kChains], b = _mm256_set1_ps(0.999f), c = _mm256_set1_ps(1e-3f);
#pragma GCC unroll 12
  for (int j = 0; j < kChains; ++j) a[j] = b;
  for (int i = 0; i < kRounds; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) {
      a[j] = _mm256_fmadd_ps(a[j], b, c);
      asm volatile("" : "+x"(a[j]));
    }
}

__attribute__((target("avx512f"))) void chains_avx512() {
  __m512 a[kChains], b = _mm512_set1_ps(0.999f), c = _mm512_set1_ps(1e-3f);
#pragma GCC unroll 12
  for (int j = 0; j < kChains; ++j) a[j] = b;
  for (int i = 0; i < kRounds; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) {
      a[j] = _mm512_fmadd_ps(a[j], b, c);
      asm volatile("" : "+v"(a[j]));
    }
}

/// Multiply-adds a second on one thread; 0 for baseline, which has none in hardware.
double fma_rate(const LaneKernels& kernels) {
  if (kernels.isa == Isa::baseline) return 0;
  const auto chains = kernels.isa == Isa::avx512 ? chains_avx512 : chains_avx2;
  return double{kChains} * kRounds * kernels.lanes / shortest(300, chains);
}

/// Of the network alone, on one thread.
double seconds_per_sample(const LaneProgram& program) {
  LaneArena arena(program);
  const auto batch = static_cast<std::uint64_t>(program.batch());
  const auto repeat = static_cast<int>(std::clamp<std::uint64_t>(
      std::uint64_t{10000000000} / (program.multiply_adds() + 1) / batch, 10, 2000));
  return shortest(repeat,
                  [&] {
                    arena.run(kGroups, [](int, float* to) { to[0] = 0.5f; });  // the rest is stale
                  }) /
         static_cast<double>(batch);
}

/// Each convolution and linear layer with what is fused into it, as the difference between the
/// network up to its end and up to its beginning.
std::string phases_json(const InferencePlan& plan, const LaneKernels& kernels, double fma) {
  std::string text;
  double before = 0;
  std::uint64_t multiply_adds_before = 0;
  for (std::size_t end = 1; end <= plan.steps.size(); ++end) {
    const auto weighs = [](StepKind kind) {
      return kind == StepKind::conv2d || kind == StepKind::linear;
    };
    if (end < plan.steps.size() && !weighs(plan.steps[end].kind)) continue;
    InferencePlan prefix = plan;
    prefix.steps.resize(end);
    const LaneProgram program(prefix, kernels, 1.0);
    if (program.multiply_adds() == multiply_adds_before) continue;  // a flatten before the layer
    const double seconds = seconds_per_sample(program);
    const auto multiply_adds = static_cast<double>(program.multiply_adds() - multiply_adds_before);
    text += (text.empty() ? "[" : ", ") + std::string("{\"multiply_adds\": ") +
            std::to_string(static_cast<std::uint64_t>(multiply_adds)) +
            ", \"ns\": " + std::to_string((seconds - before) * 1e9) +
            ", \"floor_ns\": " + std::to_string(fma > 0 ? multiply_adds / fma * 1e9 : 0) + "}";
    before = seconds;
    multiply_adds_before = program.multiply_adds();
  }
  return text + "]";
}

struct Options {
  std::string network = "convnn", noise = "lattice";
  int threads = 2;
  bool clamp = true;
  double seconds = 2;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == argc) throw UsageError(flag + ": a value is missing");
      return argv[++i];
    };
    if (flag == "--network")
      o.network = value();
    else if (flag == "--noise")
      o.noise = value();
    else if (flag == "--threads")
      o.threads = std::stoi(value());
    else if (flag == "--seconds")
      o.seconds = std::stod(value());
    else if (flag == "--no-clamp")
      o.clamp = false;
    else
      throw UsageError(flag + ": unknown flag");
  }
  return o;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const InferencePlan plan = make_inference_plan(initialise(builtin_network(options.network), 1));
  NoiseSpec noise;
  noise.law = options.noise == "gaussian" ? NoiseLaw::gaussian : NoiseLaw::lattice;
  noise.clamp = options.clamp;
  if (noise.law == NoiseLaw::lattice) noise.table = make_lattice_table(1.0, plan.input.size());
  const std::vector<std::uint8_t> pixels(plan.input.size(), 100);

  // The whole: jobs as `certify` hands them out, for about the time asked for; and a quarter of
  // that on one thread, for what the threads gain.
  const auto count = [&](ThreadPool& pool, std::uint64_t samples_per_image) {
    std::vector<VoteJob> jobs;
    for (std::uint32_t image = 0; image < 10; ++image)
      jobs.push_back({image, pixels.data(), Purpose::estimate, 0, samples_per_image});
    const auto start = Clock::now();
    start_votes(plan, pool, {noise, Mode::exact}, std::move(jobs), nullptr)->wait();
    return 10.0 * static_cast<double>(samples_per_image) / seconds_since(start);
  };
  ThreadPool all(options.threads), one(1);
  const double estimate = count(one, 200) / 10;
  std::vector<double> rates;
  double one_thread = 0;
  for (int round = 0; round < 3; ++round) {
    rates.push_back(count(
        all, static_cast<std::uint64_t>(estimate * options.seconds / 3 * options.threads) + 1));
    one_thread = std::max(
        one_thread, count(one, static_cast<std::uint64_t>(estimate * options.seconds / 9) + 1));
  }
  std::sort(rates.begin(), rates.end());
  const double rate = rates[1];

  // The parts, on one thread.
  const LaneKernels& kernels = active_lane_kernels();
  const LaneProgram program(plan, kernels, 1.0);
  NoiseStep step;
  step.pixels = pixels.data();
  step.count = pixels.size();
  step.purpose = 1;
  step.clamp = noise.clamp;
  step.sigma = 1;
  if (noise.table) {
    step.hot = noise.table->hot.data();
    step.cold = noise.table->cold.data();
    step.log2_columns = noise.table->log2_columns;
    step.offset = noise.table->offset;
  }
  const auto draw = noise.law == NoiseLaw::lattice ? kernels.lattice_noise : kernels.gaussian_noise;
  const auto input_floats = pixels.size() * static_cast<std::size_t>(kernels.lanes);
  const std::unique_ptr<float, decltype(&std::free)> input(
      static_cast<float*>(std::aligned_alloc(64, (input_floats * 4 + 63) / 64 * 64)), std::free);
  const double noise_rate = kernels.lanes / shortest(2000, [&] {
                              step.first_sample += static_cast<std::uint32_t>(kernels.lanes);
                              draw(step, input.get());
                            });
  const double network_seconds = seconds_per_sample(program);
  const double fma = fma_rate(kernels);
  const double multiply_adds = static_cast<double>(program.multiply_adds());
  const double floor = fma > 0 ? 1 / (multiply_adds / fma + 1 / noise_rate) : 0;
  std::cout << "{\"network\": \"" << options.network << "\", \"isa\": \"" << isa_name(kernels.isa)
            << "\", \"noise\": \"" << options.noise
            << "\", \"clamp\": " << (options.clamp ? "true" : "false")
            << ", \"threads\": " << options.threads << ", \"samples_per_second\": " << rate
            << ", \"speedup_over_one_thread\": " << rates[2] / one_thread
            << ", \"floor_samples_per_second\": " << floor * options.threads
            << ", \"multiply_adds\": " << multiply_adds << ", \"fma_per_second_thread\": " << fma
            << ", \"noise_per_second_thread\": " << noise_rate
            << ", \"network_per_second_thread\": " << 1 / network_seconds
            << ", \"phases\": " << phases_json(plan, kernels, fma) << "}" << std::endl;
  return 0;
}

}  // namespace
}  // namespace smoothcert::cpu

int main(int argc, char** argv) {
  try {
    return smoothcert::cpu::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "certification_bench: " << error.what() << "\n";
    return 1;
  }
}
