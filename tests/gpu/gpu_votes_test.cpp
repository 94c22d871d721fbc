// Votes on a GPU: exact mode equal to the CPU's, fast mode close to it and a function of its
// inputs.
#include <gtest/gtest.h>

#include "cuda/votes/vote_device.hpp"
#include "gpu_support.hpp"

namespace smoothcert {
namespace {

using gpu_test::expect_equal;
using gpu_test::random_data;
using gpu_test::some_jobs;
using gpu_test::votes;

class GpuVotes : public gpu_test::GpuTest {};

VoteSettings settings_of(NoiseLaw law, bool clamp, Mode mode, std::size_t pixels) {
  VoteSettings settings;
  settings.mode = mode;
  settings.noise.law = law;
  settings.noise.sigma = 0.5;
  settings.noise.clamp = clamp;
  settings.noise.seed = 0xfeedfacecafebeefu;
  if (law == NoiseLaw::lattice) settings.noise.table = make_lattice_table(0.5, pixels);
  if (noise_traits(law).has_width()) settings.noise.width = 1 << 16;
  return settings;
}

TEST_F(GpuVotes, ExactModeIsTheCpus) {
  for (const std::string& name : small_network_names()) {
    if (gpu_test::kEmulated && name == "cifar-cnn") continue;  // minutes
    const Network net = initialise(builtin_network(name), 5);
    const Dataset data = random_data(net.spec, 3, 1);
    const auto on_cpu = cpu->load(net), on_gpu = cuda->load(net);
    const auto jobs = some_jobs(data, 3, gpu_test::fewer(name == "cifar-cnn" ? 40 : 400));
    for (const NoiseLaw law :
         {NoiseLaw::lattice, NoiseLaw::gaussian, NoiseLaw::uniform, NoiseLaw::split}) {
      for (const bool clamp : {true, false}) {
        const auto settings = settings_of(law, clamp, Mode::exact, net.spec.input.size());
        expect_equal(votes(*on_gpu, settings, jobs), votes(*on_cpu, settings, jobs),
                     name + " " + to_name(law) + (clamp ? " clamped" : ""));
      }
    }
  }
}

TEST_F(GpuVotes, OneDeviceOrSeveralCountTheSame) {
  const Network net = initialise(builtin_network("convnn"), 5);
  const Dataset data = random_data(net.spec, 20, 1);
  const auto jobs = some_jobs(data, 20, gpu_test::fewer(3000));
  const auto settings = settings_of(NoiseLaw::lattice, true, Mode::exact, 784);
  std::vector<std::vector<VoteResult>> results;
  for (const std::size_t workers : {1, 2, 3}) {
    std::vector<VoteResult> counted(jobs.size());
    auto scheduler = std::make_unique<gpu::VoteScheduler>(
        jobs, net.spec.classes, [&](const VoteResult& r) { counted[r.job] = r; });
    std::vector<std::unique_ptr<gpu::VoteDevice>> devices;
    for (std::size_t d = 0; d < workers; ++d) {  // several pipelines, on the same GPU if need be
      devices.push_back(gpu::make_exact_vote_device(
          gpu::make_device_plan(0, make_inference_plan(net)), settings));
    }
    gpu::start_vote_run(std::move(scheduler), gpu::keep(std::move(devices)), 1024 * workers - 7, 16,
                        {})
        ->wait();
    results.push_back(counted);
  }
  expect_equal(results[1], results[0], "two pipelines");
  expect_equal(results[2], results[0], "three pipelines");
  expect_equal(votes(*cuda->load(net), settings, jobs), results[0], "all GPUs");
}

TEST_F(GpuVotes, FastModeAgreesOnNearlyEverySampleAndNeverChanges) {
  for (const std::string& name : small_network_names()) {
    if (gpu_test::kEmulated && name == "cifar-cnn") continue;  // minutes
    const Network net = initialise(builtin_network(name), 5);
    const Dataset data = random_data(net.spec, 4, 1);
    const auto on_gpu = cuda->load(net);
    for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
      const auto exact = settings_of(law, true, Mode::exact, net.spec.input.size());
      const auto fast = settings_of(law, true, Mode::fast, net.spec.input.size());
      const auto jobs = some_jobs(data, 4, gpu_test::fewer(2000));
      const auto expected = votes(*on_gpu, exact, jobs), got = votes(*on_gpu, fast, jobs);
      std::uint64_t differ = 0, total = 0;
      for (std::size_t j = 0; j < jobs.size(); ++j) {
        std::uint64_t sum = got[j].invalid;
        for (std::size_t c = 0; c < got[j].counts.size(); ++c) {
          const std::uint64_t a = got[j].counts[c], b = expected[j].counts[c];
          differ += a > b ? a - b : b - a;
          sum += a;
        }
        EXPECT_EQ(sum, jobs[j].last - jobs[j].first) << "Σ counts = n";
        total += sum;
      }
      // An untrained network's classes lie close together: a trained one agrees on more.
      EXPECT_LE(differ, total / 20) << name << ": " << on_gpu->describe_votes(fast);
      expect_equal(votes(*on_gpu, fast, jobs), got, name + ", once more");
      // Batch mates do not matter: every job alone, and cut in two.
      for (std::size_t j = 0; j < jobs.size(); ++j) {
        VoteJob first = jobs[j], second = jobs[j];
        first.last = second.first =
            jobs[j].first + std::min<std::uint64_t>(33, (jobs[j].last - jobs[j].first) / 2);
        const auto parts = votes(*on_gpu, fast, {second, first});
        for (std::size_t c = 0; c < got[j].counts.size(); ++c) {
          ASSERT_EQ(parts[0].counts[c] + parts[1].counts[c], got[j].counts[c]) << name;
        }
      }
    }
  }
}

TEST_F(GpuVotes, ForwardHasTheCpusBits) {
  for (const std::string& name : small_network_names()) {
    const Network net = initialise(builtin_network(name), 6);
    const std::size_t images = gpu_test::fewer(70);
    const auto x = gpu_test::floats_of(random_data(net.spec, images, 2));
    std::vector<float> on_cpu(images * static_cast<std::size_t>(net.spec.classes)), on_gpu = on_cpu;
    cpu->load(net)->forward(x, on_cpu);
    cuda->load(net)->forward(x, on_gpu);
    EXPECT_EQ(on_gpu, on_cpu) << name;
  }
}

TEST_F(GpuVotes, ACancelledRunReportsWholeJobsOrNothing) {
  const Network net = initialise(builtin_network("convnn"), 5);
  const Dataset data = random_data(net.spec, 20, 1);
  const auto model = cuda->load(net);
  const auto settings = settings_of(NoiseLaw::lattice, true, Mode::exact, 784);
  const auto jobs = some_jobs(data, 20, 200000);
  std::vector<VoteResult> reported;
  {
    const auto run =
        model->count_votes(settings, jobs, [&](const VoteResult& r) { reported.push_back(r); });
    run->cancel();
  }
  for (const VoteResult& r : reported) {
    std::uint64_t sum = r.invalid;
    for (const auto c : r.counts) sum += c;
    EXPECT_EQ(sum, jobs[r.job].last - jobs[r.job].first);
  }
}

}  // namespace
}  // namespace smoothcert
