// Fixed jobs whose instructions tools/count-instructions counts under callgrind, which writes out
// and zeroes its counters at the end of every instruction_mark():
//
//   smoothcert_instruction_jobs              each job of --list in order: a few units, a mark, many
//                                            units, a mark; before all of them one mark
//   smoothcert_instruction_jobs --list       NAME FEW MANY a line
//   smoothcert_instruction_jobs --compiler   what the counts depend on besides the source
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cpu/lane_kernels.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"

extern "C" __attribute__((noinline)) void instruction_mark() { asm volatile(""); }

namespace smoothcert {
namespace {

constexpr std::size_t kPixels = 784;

NoiseSpec noise_of(NoiseLaw law) {
  static const auto table = make_lattice_table(1.0, kPixels);
  NoiseSpec noise;
  noise.law = law;
  if (law == NoiseLaw::lattice) noise.table = table;
  return noise;
}

/// The whole path of `certify`: noise, network, votes.
void votes(const std::string& network, NoiseLaw law, std::uint64_t samples) {
  const Network net = initialise(builtin_network(network), 1);
  const auto model = make_cpu_backend(1)->load(net);
  const std::vector<std::uint8_t> pixels(net.spec.input.size(), 100);
  std::uint64_t seen = 0;
  model
      ->count_votes({noise_of(law), Mode::exact},
                    {{0, pixels.data(), Purpose::estimate, 0, samples}},
                    [&](const VoteResult& result) {
                      for (const auto count : result.counts) seen += count;
                    })
      ->wait();
  if (seen != samples) throw Error("lost votes");
}

void noise_alone(NoiseLaw law, std::uint64_t samples) {
  const cpu::LaneKernels& kernels = cpu::active_lane_kernels();
  const std::vector<std::uint8_t> pixels(kPixels, 100);
  const NoiseSpec noise = noise_of(law);
  cpu::NoiseStep step;
  step.pixels = pixels.data();
  step.count = pixels.size();
  step.sigma = 1;
  if (noise.table) {
    step.hot = noise.table->hot.data();
    step.cold = noise.table->cold.data();
    step.log2_columns = noise.table->log2_columns;
    step.offset = noise.table->offset;
  }
  const auto lanes = static_cast<std::uint64_t>(kernels.lanes);
  const std::unique_ptr<float, decltype(&std::free)> out(
      static_cast<float*>(std::aligned_alloc(64, pixels.size() * lanes * sizeof(float))),
      std::free);
  for (std::uint64_t at = 0; at < samples; at += lanes) {
    step.first_sample = static_cast<std::uint32_t>(at);
    (law == NoiseLaw::lattice ? kernels.lattice_noise : kernels.gaussian_noise)(step, out.get());
  }
}

struct Job {
  std::string name;
  std::uint64_t few, many;  ///< multiples of the batch; the difference cancels what runs once
  std::function<void(std::uint64_t)> run;
};

const std::vector<Job>& jobs() {
  static const std::vector<Job> all = {
      {"convnn-lattice", 64, 192, [](auto n) { votes("convnn", NoiseLaw::lattice, n); }},
      {"convnn-gaussian", 64, 192, [](auto n) { votes("convnn", NoiseLaw::gaussian, n); }},
      {"lenet-lattice", 32, 64, [](auto n) { votes("lenet", NoiseLaw::lattice, n); }},
      {"noise-lattice", 128, 384, [](auto n) { noise_alone(NoiseLaw::lattice, n); }},
      {"noise-gaussian", 128, 384, [](auto n) { noise_alone(NoiseLaw::gaussian, n); }},
  };
  return all;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments == std::vector<std::string>{"--list"}) {
    for (const Job& job : jobs())
      std::cout << job.name << ' ' << job.few << ' ' << job.many << '\n';
    return 0;
  }
  if (arguments == std::vector<std::string>{"--compiler"}) {
#if defined(__clang__)
    std::cout << "Clang " << __clang_major__ << '.' << __clang_minor__;
#else
    std::cout << "GCC " << __GNUC__ << '.' << __GNUC_MINOR__;
#endif
    std::cout << ' ' << SMOOTHCERT_BUILD_TYPE << '\n';
    return 0;
  }
  if (!arguments.empty())
    throw UsageError("usage: smoothcert_instruction_jobs [--list|--compiler]");
  noise_of(NoiseLaw::lattice);  // builds the table
  instruction_mark();
  for (const Job& job : jobs())
    for (const std::uint64_t units : {job.few, job.many}) {
      job.run(units);
      instruction_mark();
    }
  return 0;
}

}  // namespace
}  // namespace smoothcert

int main(int argc, char** argv) {
  try {
    return smoothcert::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
