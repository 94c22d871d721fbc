// The CPU engine against the plain reference: equal votes for every instruction set, thread count,
// cut and order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>

#include "cpu/votes.hpp"
#include "cpu_engine_support.hpp"

namespace smoothcert::cpu {
namespace {

class VotesOnIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa()) GTEST_SKIP() << "this machine lacks " << isa_name(GetParam());
    isa_.emplace(GetParam());
  }
  std::optional<ForcedIsa> isa_;
};

TEST_P(VotesOnIsa, EqualTheReferenceForEveryNetwork) {
  for (const NetworkSpec& spec : engine_networks()) {
    const InferencePlan plan = make_inference_plan(lively_network(spec, 3));
    const auto pixels = random_pixels(plan.input.size(), 1);
    for (const bool clamp : {true, false}) {
      const NoiseSpec noise = test_noise(clamp);
      VoteJob job{5, pixels.data(), Purpose::estimate, 3, 20};
      // The plain reference is slow: its votes are kept for the other instruction sets.
      static std::map<std::string, std::vector<int>> reference;
      auto& votes = reference[spec.name + (clamp ? " clamped" : "")];
      if (votes.empty()) votes = reference_sample_votes(plan, noise, job);
      for (const std::uint64_t n : {1, 7, 17}) {
        job.last = job.first + n;
        EXPECT_EQ(run_votes(plan, noise, {job}, 2).at(0),
                  count_of(std::span(votes).first(n), plan.classes))
            << spec.name << ", n = " << n << ", clamp " << clamp;
      }
    }
  }
}

TEST_P(VotesOnIsa, EqualTheReferenceOverManySamplesOfTheStudyNetwork) {
  const InferencePlan plan = make_inference_plan(lively_network(builtin_network("convnn"), 7));
  const auto pixels = random_pixels(plan.input.size(), 2);
  const NoiseSpec noise = test_noise(true);
  for (const Purpose purpose : {Purpose::select, Purpose::estimate}) {
    const VoteJob job{123456, pixels.data(), purpose, 1000, 1515};
    const Counts expected = reference_votes(plan, noise, job);
    EXPECT_EQ(run_votes(plan, noise, {job}, 1).at(0), expected);
    // A network that always gives the same answer would make this test vacuous.
    EXPECT_LT(*std::max_element(expected.counts.begin(), expected.counts.end()), 515u);
  }
}

TEST_P(VotesOnIsa, EqualTheReferenceOnContinuousNoise) {
  for (const NetworkSpec& spec : {builtin_network("convnn"), engine_networks().back()}) {
    const InferencePlan plan = make_inference_plan(lively_network(spec, 7));
    const auto pixels = random_pixels(plan.input.size(), 2);
    for (const bool clamp : {true, false}) {
      NoiseSpec noise;
      noise.law = NoiseLaw::gaussian;
      noise.sigma = 0.7;
      noise.seed = 11;
      noise.clamp = clamp;
      const VoteJob job{3, pixels.data(), Purpose::select, 5, 205};
      EXPECT_EQ(run_votes(plan, noise, {job}, 2).at(0), reference_votes(plan, noise, job));
    }
  }
}

TEST_P(VotesOnIsa, EqualTheReferenceOnUniformAndOnSplittingNoise) {
  bool divided = false;
  for (const NetworkSpec& spec : {builtin_network("convnn"), engine_networks().back()}) {
    const InferencePlan plan = make_inference_plan(lively_network(spec, 7));
    const auto pixels = random_pixels(plan.input.size(), 2);
    for (const bool clamp : {true, false}) {
      NoiseSpec noise;
      noise.law = NoiseLaw::uniform;
      noise.width = 256;
      noise.sigma = lambda_of_width(noise.width);
      noise.seed = 11;
      noise.clamp = clamp;
      const VoteJob job{3, pixels.data(), Purpose::select, 5, 105};
      EXPECT_EQ(run_votes(plan, noise, {job}, 2).at(0), reference_votes(plan, noise, job));
    }
    NoiseSpec noise;
    noise.law = NoiseLaw::split;
    noise.width = 255;
    noise.seed = 11;
    const VoteJob job{3, pixels.data(), Purpose::estimate, 0, 255};
    const Counts all = reference_votes(plan, noise, job);
    EXPECT_EQ(run_votes(plan, noise, {job}, 2).at(0), all);
    divided |= *std::max_element(all.counts.begin(), all.counts.end()) < 255;
    // The offsets are those of image 0, whatever the image and the stage.
    EXPECT_EQ(run_votes(plan, noise, {{77, pixels.data(), Purpose::select, 0, 255}}, 1).at(0), all);
    EXPECT_THROW(run_votes(plan, noise, {{3, pixels.data(), Purpose::estimate, 0, 256}}, 1),
                 UsageError)
        << "there is no 256th split";
  }
  EXPECT_TRUE(divided) << "networks that always give the same answer would make this vacuous";
}

TEST_P(VotesOnIsa, RareSecondDrawsAreResolvedAsTheReferenceResolvesThem) {
  // A table of 2^20 columns leaves 12 threshold bits: one draw in 4,096 is decided by the cold
  // half.
  const InferencePlan plan = make_inference_plan(lively_network(builtin_network("mlp"), 7));
  const auto pixels = random_pixels(plan.input.size(), 2);
  NoiseSpec noise = test_noise(true);
  noise.table = random_table(20, 9);
  const VoteJob job{1, pixels.data(), Purpose::estimate, 0, 100};
  EXPECT_EQ(run_votes(plan, noise, {job}, 1).at(0), reference_votes(plan, noise, job));
}

TEST_P(VotesOnIsa, SamplesUpToTheLastIndexAndSeedsOf64Bits) {
  const InferencePlan plan = make_inference_plan(lively_network(builtin_network("convnn"), 7));
  const auto pixels = random_pixels(plan.input.size(), 2);
  NoiseSpec noise = test_noise(true);
  noise.seed = 0xFEDCBA9876543210u;
  const VoteJob job{0xFFFFFFFFu, pixels.data(), Purpose::predict, 0xFFFFFFF0u, 0x100000000u};
  EXPECT_EQ(run_votes(plan, noise, {job}, 1).at(0), reference_votes(plan, noise, job));
}

TEST_P(VotesOnIsa, NanWeightsMakeEverySampleInvalid) {
  Network net = lively_network(builtin_network("convnn"), 1);
  net.tensors.at("conv2.weight").data[3] = std::numeric_limits<float>::quiet_NaN();
  const InferencePlan plan = make_inference_plan(net);
  const auto pixels = random_pixels(plan.input.size(), 2);
  const VoteJob job{0, pixels.data(), Purpose::estimate, 0, 37};
  const Counts counts = run_votes(plan, test_noise(true), {job}, 2).at(0);
  EXPECT_EQ(counts.invalid, 37u);
  EXPECT_EQ(counts.total(), 37u);
  EXPECT_EQ(counts, reference_votes(plan, test_noise(true), job));
}

TEST_P(VotesOnIsa, OverflowingWeightsGiveTheReferencesVotes) {
  // Infinities of both signs meet for some samples only: partly valid, partly invalid.
  Network net = lively_network(builtin_network("convnn"), 1);
  for (float& w : net.tensors.at("conv1.weight").data) w *= 1e30f;
  for (float& w : net.tensors.at("conv2.weight").data) w *= 1e9f;
  const InferencePlan plan = make_inference_plan(net);
  const auto pixels = random_pixels(plan.input.size(), 2);
  const VoteJob job{0, pixels.data(), Purpose::estimate, 0, 50};
  const Counts expected = reference_votes(plan, test_noise(true), job);
  EXPECT_GT(expected.invalid, 0u);
  EXPECT_EQ(run_votes(plan, test_noise(true), {job}, 2).at(0), expected);
}

TEST_P(VotesOnIsa, TiesGoToTheLowestIndex) {
  Network net = lively_network(builtin_network("mlp"), 1);
  for (auto& [name, tensor] : net.tensors) std::fill(tensor.data.begin(), tensor.data.end(), 0.0f);
  const InferencePlan plan = make_inference_plan(net);
  const auto pixels = random_pixels(plan.input.size(), 2);
  const VoteJob job{0, pixels.data(), Purpose::estimate, 0, 20};
  EXPECT_EQ(run_votes(plan, test_noise(true), {job}, 1).at(0).counts[0], 20u);
}

INSTANTIATE_TEST_SUITE_P(Isa, VotesOnIsa, testing::Values(Isa::baseline, Isa::avx2, Isa::avx512),
                         [](const auto& test) { return isa_name(test.param); });

class Votes : public testing::Test {
 protected:
  InferencePlan plan_ = make_inference_plan(lively_network(builtin_network("convnn"), 7));
  std::vector<std::vector<std::uint8_t>> images_ = [] {
    std::vector<std::vector<std::uint8_t>> images;
    for (std::uint32_t i = 0; i < 5; ++i) images.push_back(random_pixels(784, i));
    return images;
  }();
  NoiseSpec noise_ = test_noise(true);

  VoteJob job(std::uint32_t image, std::uint64_t first, std::uint64_t last) const {
    return {image, images_[image].data(), Purpose::estimate, first, last};
  }
};

TEST_F(Votes, DoNotDependOnThreadsCutsOrOrder) {
  // More samples than one hand-out block, so that threads share an image.
  const std::uint64_t n = 6001;
  std::vector<VoteJob> whole;
  for (std::uint32_t i = 0; i < 5; ++i) whole.push_back(job(i, 0, n));
  const std::vector<Counts> expected = run_votes(plan_, noise_, whole, 1);
  for (const int threads : {2, 3}) EXPECT_EQ(run_votes(plan_, noise_, whole, threads), expected);

  for (const std::uint64_t cut : {1, 100, 4096, 5999}) {
    std::vector<VoteJob> jobs;
    for (std::uint32_t i = 5; i-- > 0;) {
      jobs.push_back(job(i, cut, n));
      jobs.push_back(job(i, 0, cut));
    }
    const std::vector<Counts> parts = run_votes(plan_, noise_, jobs, 2);
    for (std::uint32_t i = 0; i < 5; ++i)
      EXPECT_EQ(parts[2 * (4 - i)] + parts[2 * (4 - i) + 1], expected[i]) << "cut at " << cut;
  }
}

TEST_F(Votes, AddUpToTheSamplesAskedFor) {
  for (const std::uint64_t n : {0, 1, 15, 16, 17, 63, 64, 65, 1000}) {
    const auto counts = run_votes(plan_, noise_, {job(0, 10, 10 + n)}, 2);
    EXPECT_EQ(counts.at(0).total(), n);
  }
}

TEST_F(Votes, AreReportedOncePerJobAndNeverConcurrently) {
  std::vector<VoteJob> jobs;
  for (std::uint64_t i = 0; i < 200; ++i)
    jobs.push_back(job(static_cast<std::uint32_t>(i % 5), i, i + 40));
  ThreadPool pool(4);
  std::vector<int> seen(jobs.size());
  std::atomic<int> inside{0};
  auto run = start_votes(plan_, pool, {noise_, Mode::exact}, jobs, [&](const VoteResult& r) {
    EXPECT_EQ(inside.fetch_add(1), 0);
    ++seen[r.job];
    inside.fetch_sub(1);
  });
  run->wait();
  EXPECT_EQ(run->samples_done(), 200u * 40u);
  EXPECT_EQ(seen, std::vector<int>(jobs.size(), 1));
}

TEST_F(Votes, CancellationReportsWholeJobsOnly) {
  std::vector<VoteJob> jobs;
  for (std::uint64_t i = 0; i < 2000; ++i) jobs.push_back(job(0, i * 1000, i * 1000 + 1000));
  ThreadPool pool(2);
  std::vector<VoteResult> results;
  std::unique_ptr<VoteRun> run;
  std::mutex started;
  {
    std::unique_lock lock(started);
    run = start_votes(plan_, pool, {noise_, Mode::exact}, jobs, [&](const VoteResult& r) {
      results.push_back(r);
      if (results.size() == 5) {
        const std::lock_guard wait_for_run(started);
        run->cancel();
      }
    });
  }
  run->wait();
  EXPECT_EQ(results.size(), 5u);
  for (const VoteResult& r : results) {
    std::uint64_t total = r.invalid;
    for (const std::uint64_t c : r.counts) total += c;
    EXPECT_EQ(total, 1000u);
  }
}

TEST_F(Votes, DestroyingARunOfManySamplesEndsItAtOnce) {
  ThreadPool pool(2);
  bool reported = false;
  auto run = start_votes(plan_, pool, {noise_, Mode::exact}, {job(0, 0, 4000000000u)},
                         [&](const VoteResult&) { reported = true; });
  run.reset();
  EXPECT_FALSE(reported);
  // The pool is free again.
  EXPECT_EQ(run_votes(plan_, noise_, {job(0, 0, 10)}, 2).at(0).total(), 10u);
}

TEST_F(Votes, AFailingCallbackEndsTheRunAndIsRethrown) {
  std::vector<VoteJob> jobs(50, job(0, 0, 100));
  ThreadPool pool(3);
  int calls = 0;
  auto run = start_votes(plan_, pool, {noise_, Mode::exact}, jobs, [&](const VoteResult&) {
    if (++calls == 3) throw std::runtime_error("disk full");
  });
  EXPECT_THROW(run->wait(), std::runtime_error);
  EXPECT_EQ(calls, 3);
}

TEST_F(Votes, RefuseWhatCannotBeCounted) {
  ThreadPool pool(1);
  const auto start = [&](const NoiseSpec& noise, VoteJob j) {
    start_votes(plan_, pool, {noise, Mode::exact}, {j}, nullptr);
  };
  NoiseSpec no_table = noise_;
  no_table.table = nullptr;
  EXPECT_THROW(start(no_table, job(0, 0, 1)), UsageError);
  EXPECT_THROW(start(noise_, job(0, 2, 1)), UsageError);
  EXPECT_THROW(start(noise_, job(0, 0, (1ull << 32) + 1)), UsageError);
  EXPECT_THROW(start(noise_, VoteJob{}), UsageError);
}

}  // namespace
}  // namespace smoothcert::cpu
