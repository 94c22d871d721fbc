// One image's samples are shared among all threads, and memory does not grow with n.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "cpu_engine_support.hpp"
#include "fake_model_support.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/certify.hpp"

namespace smoothcert::cpu {
namespace {

/// Nanoseconds each thread of this process has run so far; empty where the kernel does not say.
std::map<std::string, std::uint64_t> run_times() {
  std::map<std::string, std::uint64_t> times;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "schedstat");
    std::uint64_t time = 0;
    if (file >> time) times[task.path().filename()] = time;
  }
  return times;
}

TEST(CpuScaling, OneImageUsesEveryThread) {
  const InferencePlan plan = make_inference_plan(lively_network(builtin_network("convnn"), 7));
  const auto pixels = random_pixels(plan.input.size(), 2);
  // What the threads do does not depend on how many processors there are, if the job is long enough
  // for the system to give each its turns.
  const std::uint64_t samples = active_isa() == Isa::baseline ? 6000 : 100000;
  ThreadPool pool(4);
  const auto before = run_times();
  if (before.empty()) GTEST_SKIP() << "this kernel does not count the run time of threads";
  const VoteSettings settings{test_noise(true), Mode::exact};
  const auto run = start_votes(plan, pool, settings,
                               {{7, pixels.data(), Purpose::estimate, 0, samples}}, nullptr);
  run->wait();
  std::uint64_t total = 0;
  std::vector<std::uint64_t> shares;
  for (auto& [task, time] : run_times()) {
    const auto earlier = before.find(task);
    shares.push_back(time - (earlier == before.end() ? 0 : earlier->second));
    total += shares.back();
  }
  // The pool's three threads outlive the run; the one that started it (the fourth) may be gone.
  std::sort(shares.rbegin(), shares.rend());
  ASSERT_GE(shares.size(), 3u);
  EXPECT_GT(shares[2], total / 20) << "a thread of four did under 5 % of what is left to see";
}

/// Peak memory (KiB) of a process that certifies one image with n samples.
long peak_memory(std::uint64_t n) {
  const pid_t child = fork();
  if (child == 0) {
    NetworkSpec spec = builtin_network("mlp");
    spec.input = {1, 4, 4};
    infer_shapes(spec);
    const auto model = make_cpu_backend(2)->load(initialise(spec, 1));
    const Dataset data = test::flat_data(1, spec.input, 100, 10);
    CertifySettings settings;
    settings.n = n;
    std::uint64_t votes = 0;
    CertifyCallbacks callbacks;
    callbacks.on_certificate = [&](const Certificate& certificate) {
      for (const auto count : certificate.estimation.counts) votes += count;
    };
    try {
      certify(*model, data, test::all_of(data), settings, {}, callbacks);
    } catch (...) {
      _exit(2);
    }
    _exit(votes == n ? 0 : 3);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child) return -1;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  return usage.ru_maxrss;
}

TEST(CpuScaling, MemoryIsFlatInTheNumberOfSamples) {
  if (active_isa() == Isa::baseline) GTEST_SKIP() << "a million samples take too long here";
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer keeps freed memory on purpose";
#endif
  const long few = peak_memory(10000), many = peak_memory(1000000);
  ASSERT_GT(few, 0);
  // A byte a sample would be 1,000 KiB already.
  EXPECT_LT(many - few, 4000) << few << " KiB for 1e4 samples, " << many << " KiB for 1e6";
}

}  // namespace
}  // namespace smoothcert::cpu
