// How fast votes are counted, and what bounds it. One JSON line per invocation, so that
// compare_certification can alternate it with a peer:
//
//   certification_bench [--network convnn] [--mode exact|fast] [--threads 2]
//                       [--noise lattice|gaussian] [--no-clamp] [--seconds 2]
//
// The floor: the network's multiply-adds (in fast mode those of exact mode as well, so that its
// share of the floor says what it saves) at the FMA rate of the instruction set in use, measured by
// independent register-only chains, plus one image of noise at the rate of the noise kernel alone;
// both on one thread, times the threads. The parts are timed in the thread's own CPU time, so that
// neighbours disturb them little.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cpu/lane_arena.hpp"
#include "cpu/votes.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert::cpu {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// CPU time of this thread.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Shortest time of `repeat` calls.
template <class F>
double shortest(int repeat, const F& f) {
  double best = 1e30;
  for (int i = 0; i < repeat; ++i) {
    const double start = thread_seconds();
    f();
    best = std::min(best, thread_seconds() - start);
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

/// What the network alone takes on one thread, a sample.
struct NetworkTimes {
  double seconds = 0;  ///< the median of several passes
  std::vector<double> steps;
};
NetworkTimes time_network(const LaneProgram& program) {
  LaneArena arena(program);
  const double work =
      static_cast<double>(program.multiply_adds()) * static_cast<double>(program.batch());
  const int groups = work > 4e10 ? 1 : kGroups;
  const double samples = static_cast<double>(groups) * program.kernels().lanes;
  const int repeat = static_cast<int>(std::clamp(1e10 / work, 5.0, 2000.0));
  std::vector<std::vector<double>> steps(program.steps().size());
  std::vector<double> wholes;
  for (int i = 0; i < repeat; ++i) {
    std::vector<double> taken(steps.size());
    const double start = thread_seconds();
    double last = start;
    arena.run(
        groups, [](int, float* to) { to[0] = 0.5f; },  // the rest is stale
        [&](std::size_t step) {
          const double now = thread_seconds();
          taken[step] += now - last;
          last = now;
        });
    wholes.push_back((thread_seconds() - start) / samples);
    for (std::size_t s = 0; s < steps.size(); ++s) steps[s].push_back(taken[s] / samples);
  }
  const auto median = [](std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  NetworkTimes times;
  times.seconds = median(wholes);
  for (auto& values : steps) times.steps.push_back(median(values));
  return times;
}

std::string step_name(const LaneStep& step) {
  const ConvStep& c = step.conv;
  const auto number = [](auto value) { return std::to_string(value); };
  const auto change = number(c.in_channels) + "→" + number(c.out_channels);
  if (step.kind == StepKind::linear) return "linear " + change;
  if (step.kind != StepKind::conv2d) return "other";
  return (step.winograd ? "winograd " : "conv ") + change + " " + number(c.kernel) + "×" +
         number(c.kernel) + (c.stride == 1 ? "" : " stride " + number(c.stride)) + ", " +
         number(c.out_height) + "×" + number(c.out_width) + (c.pool ? " pooled" : "");
}

/// Convolutions and linear layers with what is fused into them, equal ones together, and the rest.
std::string phases_json(const LaneProgram& program, const NetworkTimes& times, double fma) {
  struct Phase {
    std::string name;
    int count = 0;
    double multiply_adds = 0, seconds = 0;
  };
  std::vector<Phase> phases;
  for (std::size_t i = 0; i < program.steps().size(); ++i) {
    const std::string name = step_name(program.steps()[i]);
    auto found = std::find_if(phases.begin(), phases.end(),
                              [&](const Phase& phase) { return phase.name == name; });
    if (found == phases.end()) found = phases.insert(phases.end(), {name});
    ++found->count;
    found->multiply_adds += static_cast<double>(program.steps()[i].multiply_adds);
    found->seconds += times.steps[i];
  }
  std::string text;
  for (const Phase& phase : phases)
    text +=
        (text.empty() ? "[" : ", ") + std::string("{\"layer\": \"") + phase.name +
        "\", \"count\": " + std::to_string(phase.count) +
        ", \"multiply_adds\": " + std::to_string(static_cast<std::uint64_t>(phase.multiply_adds)) +
        ", \"ns\": " + std::to_string(phase.seconds * 1e9) +
        ", \"floor_ns\": " + std::to_string(fma > 0 ? phase.multiply_adds / fma * 1e9 : 0) + "}";
  return text + "]";
}

struct Options {
  std::string network = "convnn", noise = "lattice", mode = "exact";
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
    else if (flag == "--mode")
      o.mode = value();
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
  const Mode mode = from_name<Mode>(options.mode);

  // The network, on one thread.
  const LaneKernels& kernels = active_lane_kernels();
  const LaneProgram program(plan, kernels, 1.0, mode);
  const NetworkTimes times = time_network(program);

  // The whole: jobs as `certify` hands them out, for about the time asked for; and a third of that
  // on one thread, for what the threads gain. Of a slow network one image in whole lane groups.
  const VoteSettings settings{noise, mode};
  VoteCache kept;
  kept.of(plan, settings);
  const auto count = [&](ThreadPool& pool, double seconds) {
    const auto wanted = static_cast<std::uint64_t>(seconds * pool.threads() / times.seconds);
    const auto lanes = static_cast<std::uint64_t>(kernels.lanes * pool.threads());
    const std::uint32_t images = wanted > 20 * lanes ? 10 : 1;
    const std::uint64_t each = std::max<std::uint64_t>(wanted / images / lanes, 1) * lanes;
    std::vector<VoteJob> jobs;
    for (std::uint32_t image = 0; image < images; ++image)
      jobs.push_back({image, pixels.data(), Purpose::estimate, 0, each});
    const auto start = Clock::now();
    start_votes(pool, kept.of(plan, settings), settings, std::move(jobs), nullptr)->wait();
    return static_cast<double>(images * each) / seconds_since(start);
  };
  ThreadPool all(options.threads), one(1);
  std::vector<double> rates;
  double one_thread = 0;
  for (int round = 0; round < 3; ++round) {
    rates.push_back(count(all, options.seconds / 3));
    if (options.threads > 1) one_thread = std::max(one_thread, count(one, options.seconds / 9));
  }
  std::sort(rates.begin(), rates.end());
  const double rate = rates[1];
  if (options.threads == 1) one_thread = rates[2];

  // The other parts, on one thread.
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
  const double noise_rate = kernels.lanes / shortest(pixels.size() < 10000 ? 2000 : 50, [&] {
                              step.first_sample += static_cast<std::uint32_t>(kernels.lanes);
                              draw(step, input.get());
                            });
  const double fma = fma_rate(kernels);
  const auto multiply_adds =
      static_cast<double>(LaneProgram(plan, kernels, 1.0, Mode::exact).multiply_adds());
  const double floor = fma > 0 ? 1 / (multiply_adds / fma + 1 / noise_rate) : 0;
  std::cout << "{\"network\": \"" << options.network << "\", \"mode\": \"" << options.mode
            << "\", \"path\": \"" << describe_votes(plan, mode) << "\", \"isa\": \""
            << isa_name(kernels.isa) << "\", \"noise\": \"" << options.noise
            << "\", \"clamp\": " << (options.clamp ? "true" : "false")
            << ", \"threads\": " << options.threads << ", \"samples_per_second\": " << rate
            << ", \"speedup_over_one_thread\": " << rates[2] / one_thread
            << ", \"floor_samples_per_second\": " << floor * options.threads
            << ", \"multiply_adds\": " << multiply_adds << ", \"fma_per_second_thread\": " << fma
            << ", \"noise_per_second_thread\": " << noise_rate
            << ", \"network_per_second_thread\": " << 1 / times.seconds
            << ", \"phases\": " << phases_json(program, times, fma) << "}" << std::endl;
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
