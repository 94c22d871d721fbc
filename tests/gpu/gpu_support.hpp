// Both backends side by side, for tests that need a GPU. Without one they are skipped;
// SMOOTHCERT_REQUIRE_GPU=1 turns that into a failure.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "smoothcert/backend.hpp"

namespace smoothcert::gpu_test {

/// Whether the GPU is a simulated one (tests/simulated).
#if defined(SMOOTHCERT_SIMULATED_GPU)
inline constexpr bool kEmulated = true;
#else
inline constexpr bool kEmulated = false;
#endif

/// How many of so many samples or images: fewer where kernels are emulated.
inline std::size_t fewer(std::size_t count) { return kEmulated ? count / 25 + 4 : count; }

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    cuda = make_cuda_backend(&why);
    if (!cuda) {
      const char* required = std::getenv("SMOOTHCERT_REQUIRE_GPU");
      if (required && std::string(required) == "1") FAIL() << "a GPU is required: " << why;
      GTEST_SKIP() << why;
    }
    cpu = make_cpu_backend();
  }
  std::unique_ptr<Backend> cuda, cpu;
};

inline Dataset random_data(const NetworkSpec& spec, std::size_t count, unsigned seed) {
  Dataset data;
  data.name = "random";
  data.shape = spec.input;
  data.classes = spec.classes;
  std::mt19937 rng(seed);
  // A bright patch whose place depends on the class, so that there is something to learn.
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = static_cast<Label>(rng() % static_cast<unsigned>(spec.classes));
    data.labels.push_back(label);
    for (std::size_t p = 0; p < spec.input.size(); ++p) {
      const bool patch = p * static_cast<std::size_t>(spec.classes) / spec.input.size() == label;
      data.pixels.push_back(static_cast<std::uint8_t>(rng() % 100 + (patch ? 100 : 0)));
    }
  }
  data.sha256 = "random " + std::to_string(seed) + " " + std::to_string(count);
  return data;
}

inline std::vector<float> floats_of(const Dataset& data) {
  std::vector<float> x;
  for (const std::uint8_t v : data.pixels) x.push_back(static_cast<float>(v) * (1.0f / 255.0f));
  return x;
}

/// Results by job.
inline std::vector<VoteResult> votes(BackendModel& model, const VoteSettings& settings,
                                     const std::vector<VoteJob>& jobs) {
  std::vector<VoteResult> results(jobs.size());
  const auto run =
      model.count_votes(settings, jobs, [&](const VoteResult& r) { results[r.job] = r; });
  run->wait();
  return results;
}

inline void expect_equal(const std::vector<VoteResult>& a, const std::vector<VoteResult>& b,
                         const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t j = 0; j < a.size(); ++j) {
    EXPECT_EQ(a[j].counts, b[j].counts) << what << ", job " << j;
    EXPECT_EQ(a[j].invalid, b[j].invalid) << what << ", job " << j;
  }
}

inline std::vector<VoteJob> some_jobs(const Dataset& data, std::size_t images,
                                      std::uint64_t samples) {
  std::vector<VoteJob> jobs;
  for (std::size_t i = 0; i < images; ++i) {
    jobs.push_back(
        {static_cast<std::uint32_t>(i), data.image(i).data(), Purpose::select, 0, fewer(100)});
    jobs.push_back({static_cast<std::uint32_t>(i), data.image(i).data(), Purpose::estimate, 17,
                    17 + samples + i});
  }
  return jobs;
}

}  // namespace smoothcert::gpu_test
