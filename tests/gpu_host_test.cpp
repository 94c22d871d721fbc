// The CUDA backend's host logic, which needs no driver: memory layout, batching, hand-out, failure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "gpu/value_layout.hpp"
#include "gpu/vote_scheduler.hpp"
#include "gpu/vote_worker.hpp"

namespace smoothcert::gpu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ValueLayout, NothingLiveIsOverwritten) {
  for (const std::string& name : small_network_names()) {
    const InferencePlan plan = make_inference_plan(initialise(builtin_network(name), 1));
    const ValueLayout layout = lay_out_values(plan);
    std::size_t separate = plan.input.size();
    // Execute with memory tagged by its owner: every input must still be there when it is read.
    std::vector<int> tag(layout.total, -2);
    const auto range = [&](int value) {
      const std::size_t at =
          value < 0 ? layout.image : layout.offsets[static_cast<std::size_t>(value)];
      const std::size_t size = value < 0
                                   ? plan.input.size()
                                   : plan.steps[static_cast<std::size_t>(value)].out_shape.size();
      return std::pair(at, at + size);
    };
    std::vector<int> alias(plan.steps.size() + 1);
    const auto write = [&](int value) {
      const auto [first, last] = range(value);
      ASSERT_LE(last, layout.total);
      for (std::size_t i = first; i < last; ++i) tag[i] = value;
    };
    const auto expect_intact = [&](int value) {
      const int owner = alias[static_cast<std::size_t>(value + 1)];
      const auto [first, last] = range(value);
      for (std::size_t i = first; i < last; ++i) ASSERT_EQ(tag[i], owner) << name;
    };
    alias[0] = -1;
    write(-1);
    for (int s = 0; s < static_cast<int>(plan.steps.size()); ++s) {
      const PlanStep& step = plan.steps[static_cast<std::size_t>(s)];
      expect_intact(step.in);
      if (step.kind == StepKind::add) expect_intact(step.in2);
      if (step.kind == StepKind::flatten) {
        alias[static_cast<std::size_t>(s + 1)] = alias[static_cast<std::size_t>(step.in + 1)];
        continue;
      }
      alias[static_cast<std::size_t>(s + 1)] = s;
      write(s);
      expect_intact(step.in);  // no step may write over what it still reads
      separate += step.out_shape.size();
    }
    EXPECT_LT(layout.total, separate) << name << ": nothing is shared";
  }
}

/// Counts image·7 + sample mod classes, as a device would.
class FakeDevice : public VoteDevice {
 public:
  explicit FakeDevice(int classes) : classes_(static_cast<std::size_t>(classes)) {}
  void prepare(std::uint32_t samples) override {
    prepared.push_back(samples);
    if (samples > memory) throw OutOfDeviceMemory("no room for " + std::to_string(samples));
  }
  std::size_t slots() const override { return 2; }
  std::uint32_t max_segments() const override { return 3; }
  void submit(std::size_t slot, const VoteBatch& batch) override {
    if (++submitted > survives) throw Error("device lost");
    auto& counts = counts_[slot];
    counts.assign(batch.segments.size() * (classes_ + 1), 0);
    for (std::uint32_t n = 0, s = 0; n < batch.samples; ++n) {
      while (s + 1 < batch.segments.size() && batch.segments[s + 1].begin <= n) ++s;
      const VoteSegment& segment = batch.segments[s];
      const std::uint64_t sample = segment.first_sample + (n - segment.begin);
      ++counts[s * (classes_ + 1) + (segment.image * 7 + sample) % (classes_ + 1)];
    }
  }
  std::span<const std::uint64_t> collect(std::size_t slot) override { return counts_[slot]; }

  std::vector<std::uint32_t> prepared;
  std::uint32_t memory = ~0u;
  int submitted = 0, survives = 1 << 30;

 private:
  std::size_t classes_;
  std::vector<std::uint64_t> counts_[2];
};

const std::uint8_t kPixel = 0;

std::vector<VoteJob> some_jobs() {
  std::vector<VoteJob> jobs;
  const std::uint64_t ends[] = {10, 1, 0, 1000, 37, 4294967296u};
  for (std::uint32_t j = 0; j < 6; ++j) {
    jobs.push_back({j, &kPixel, Purpose::estimate, j == 5 ? ends[j] - 100 : 0, ends[j]});
  }
  return jobs;
}

void expect_right(const std::vector<VoteJob>& jobs, const std::vector<VoteResult>& results) {
  ASSERT_EQ(results.size(), jobs.size());
  std::set<std::size_t> seen;
  for (const VoteResult& r : results) {
    EXPECT_TRUE(seen.insert(r.job).second);
    const VoteJob& job = jobs[r.job];
    std::vector<std::uint64_t> expected(4, 0);
    for (std::uint64_t s = job.first; s < job.last; ++s) ++expected[(job.image * 7 + s) % 4];
    EXPECT_THAT(r.counts, ElementsAre(expected[0], expected[1], expected[2]));
    EXPECT_EQ(r.invalid, expected[3]);
  }
}

TEST(VoteScheduler, AnyNumberOfDevicesAndBatchSizesCountTheSame) {
  for (const std::size_t devices : {1, 3}) {
    for (const std::uint32_t batch : {1u, 16u, 300u, 100000u}) {
      std::vector<VoteResult> results;
      std::atomic<int> inside{0};
      auto scheduler = std::make_unique<VoteScheduler>(some_jobs(), 3, [&](const VoteResult& r) {
        EXPECT_EQ(++inside, 1) << "on_result was called concurrently";
        results.push_back(r);
        --inside;
      });
      std::vector<std::unique_ptr<VoteDevice>> fakes;
      for (std::size_t d = 0; d < devices; ++d) fakes.push_back(std::make_unique<FakeDevice>(3));
      const auto run = start_vote_run(std::move(scheduler), keep(std::move(fakes)), batch, 1, {});
      run->wait();
      expect_right(some_jobs(), results);
      EXPECT_EQ(run->samples_done(), 10u + 1 + 0 + 1000 + 37 + 100);
    }
  }
}

TEST(VoteScheduler, OutOfMemoryHalvesTheBatchAndSaysSo) {
  std::vector<VoteResult> results;
  VoteScheduler scheduler(some_jobs(), 3, [&](const VoteResult& r) { results.push_back(r); });
  KeptVoteDevice kept{std::make_unique<FakeDevice>(3)};
  auto& device = static_cast<FakeDevice&>(*kept.device);
  device.memory = 100;
  std::vector<std::string> notes;
  run_vote_worker(scheduler, kept, 512, 16, [&](const std::string& n) { notes.push_back(n); });
  scheduler.wait();
  expect_right(some_jobs(), results);
  EXPECT_THAT(device.prepared, ElementsAre(512, 256, 128, 64));
  EXPECT_THAT(notes, ElementsAre(HasSubstr("batch halved to 256"), HasSubstr("halved to 128"),
                                 HasSubstr("halved to 64 samples")));
}

TEST(VoteScheduler, NoDeviceIsAnErrorAndNoWait) {
  auto scheduler = std::make_unique<VoteScheduler>(some_jobs(), 3, [](const VoteResult&) {});
  EXPECT_THROW(start_vote_run(std::move(scheduler), {}, 16, 1, {}), Error);
}

// The next window of a run finds the device as the last one left it, halved batch included.
TEST(VoteScheduler, AKeptDeviceIsPreparedOnce) {
  KeptVoteDevice kept{std::make_unique<FakeDevice>(3)};
  auto& device = static_cast<FakeDevice&>(*kept.device);
  device.memory = 100;
  for (int window = 0; window < 3; ++window) {
    std::vector<VoteResult> results;
    VoteScheduler scheduler(some_jobs(), 3, [&](const VoteResult& r) { results.push_back(r); });
    run_vote_worker(scheduler, kept, 128, 16, {});
    scheduler.wait();
    expect_right(some_jobs(), results);
  }
  EXPECT_THAT(device.prepared, ElementsAre(128, 64));
  EXPECT_FALSE(kept.failed);
}

TEST(VoteScheduler, OutOfMemoryForGoodIsReported) {
  VoteScheduler scheduler(some_jobs(), 3, {});
  KeptVoteDevice kept{std::make_unique<FakeDevice>(3)};
  static_cast<FakeDevice&>(*kept.device).memory = 10;
  run_vote_worker(scheduler, kept, 512, 16, {});
  EXPECT_THROW(scheduler.wait(), OutOfDeviceMemory);
}

TEST(VoteScheduler, ALostDeviceKeepsWhatWasReportedAndNothingElse) {
  std::vector<VoteResult> results;
  VoteScheduler scheduler(some_jobs(), 3, [&](const VoteResult& r) { results.push_back(r); });
  KeptVoteDevice kept{std::make_unique<FakeDevice>(3)};
  static_cast<FakeDevice&>(*kept.device).survives = 4;
  run_vote_worker(scheduler, kept, 8, 1, {});
  EXPECT_THAT([&] { scheduler.wait(); }, testing::ThrowsMessage<Error>("device lost"));
  EXPECT_TRUE(kept.failed);
  ASSERT_FALSE(results.empty());
  EXPECT_LT(results.size(), some_jobs().size());
  for (const VoteResult& r : results) {
    std::uint64_t total = r.invalid;
    for (const auto c : r.counts) total += c;
    EXPECT_EQ(total, some_jobs()[r.job].last - some_jobs()[r.job].first) << "reported in part";
  }
}

TEST(VoteScheduler, BatchesSpanImagesAndGivenBackOnesReturn) {
  VoteScheduler scheduler(some_jobs(), 3, {});
  const auto first = scheduler.next(32, 3);
  ASSERT_TRUE(first);
  EXPECT_THAT(first->jobs, ElementsAre(0, 1, 3));
  EXPECT_EQ(first->samples, 32u);
  EXPECT_EQ(first->segments[2].begin, 11u);
  scheduler.give_back(*first);
  const auto again = scheduler.next(32, 3);
  EXPECT_EQ(again->jobs, first->jobs);
  EXPECT_EQ(again->segments[2].first_sample, first->segments[2].first_sample);
}

TEST(VoteScheduler, CancelDropsUnfinishedJobs) {
  int reported = 0;
  VoteScheduler scheduler(some_jobs(), 3, [&](const VoteResult&) { ++reported; });
  EXPECT_EQ(reported, 1);  // the empty job needs no device
  const auto batch = scheduler.next(100, 3);
  scheduler.cancel();
  const std::vector<std::uint64_t> counts(batch->segments.size() * 4, 0);
  scheduler.complete(*batch, counts);
  EXPECT_FALSE(scheduler.next(100, 3));
  EXPECT_FALSE(scheduler.wait_for_work());
  scheduler.wait();
  EXPECT_EQ(reported, 1);
}

TEST(VoteScheduler, RefusesWhatCannotBe) {
  EXPECT_THROW(VoteScheduler({{0, nullptr, Purpose::select, 0, 1}}, 3, {}), UsageError);
  EXPECT_THROW(VoteScheduler({{0, &kPixel, Purpose::select, 2, 1}}, 3, {}), UsageError);
  EXPECT_THROW(VoteScheduler({{0, &kPixel, Purpose::select, 0, (1ull << 32) + 1}}, 3, {}),
               UsageError);
  VoteScheduler scheduler(some_jobs(), 3, {});
  const auto batch = scheduler.next(4, 1);
  EXPECT_THROW(scheduler.complete(*batch, std::vector<std::uint64_t>{1, 1, 1, 0}), Error)
      << "3 votes for 4 samples";
}

}  // namespace
}  // namespace smoothcert::gpu
