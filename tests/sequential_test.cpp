// Sequential runs: how many samples an image gets is a function of its votes at checkpoints alone,
// however the samples were cut, ordered, interrupted or resumed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "fake_model_support.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/certify.hpp"
#include "store/codec.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::all_of;
using test::FakeModel;
using test::flat_data;
using test::TemporaryFolder;
using Access = ResultsStore::Access;

constexpr ImageShape kShape{1, 1, 1};

/// One pixel at 128: class 0 where the noisy pixel lies above a threshold of the image's own, so
/// that images are sure, doubtful and hopeless by turns.
class Sequential : public testing::Test {
 protected:
  Sequential() {
    settings_.sigma = 0.5;
    settings_.n0 = 100;
    settings_.n = 20000;
    settings_.alpha = 0.001;
    settings_.clamp = false;
    settings_.sequential = true;
    settings_.stopping = {StopRule::within, 0.05};
    for (std::size_t i = 0; i < data_.size(); ++i)
      data_.pixels[i] = static_cast<std::uint8_t>(60 + 15 * i);
  }

  std::map<std::uint32_t, std::string> certified(const CertifySettings& settings,
                                                 std::span<const std::uint32_t> images,
                                                 std::span<const ChunkCounts> done = {}) {
    std::map<std::uint32_t, std::string> texts;
    CertifyCallbacks callbacks;
    callbacks.on_certificate = [&](const Certificate& c) {
      texts.emplace(c.image, store::certificate_text(c));
      certificates_.push_back(c);
    };
    certify(model_, data_, images, settings, done, callbacks);
    return texts;
  }

  Dataset data_ = flat_data(12, kShape, 0, 2);
  FakeModel model_{kShape, 2, [](std::span<const float> x) { return x[0] > 0.5f ? 0 : 1; }};
  CertifySettings settings_;
  std::vector<Certificate> certificates_;
};

TEST_F(Sequential, ImagesStopAtCheckpointsForEveryReason) {
  certified(settings_, all_of(data_));
  std::map<StopReason, int> reasons;
  const auto looks = checkpoints(settings_.n);
  for (const Certificate& c : certificates_) {
    ++reasons[c.stop];
    const std::uint64_t n = c.estimation.counts[0] + c.estimation.counts[1];
    EXPECT_TRUE(std::ranges::binary_search(looks, n)) << n;
    EXPECT_EQ(n == settings_.n, c.stop == StopReason::n_max);
    EXPECT_EQ(stops_here(c.selection, c.estimation, settings_, kShape), c.stop);
  }
  EXPECT_GT(reasons[StopReason::target], 0);
  EXPECT_GT(reasons[StopReason::n_max], 0);
}

TEST_F(Sequential, OneImageGetsWhatItGetsAmongOthers) {
  const auto together = certified(settings_, all_of(data_));
  ASSERT_EQ(together.size(), data_.size());
  for (const std::uint32_t image : all_of(data_)) {
    const std::vector<std::uint32_t> alone{image};
    EXPECT_EQ(certified(settings_, alone).at(image), together.at(image));
  }
  model_.reverse = true;
  EXPECT_EQ(certified(settings_, all_of(data_)), together) << "in another order";
}

TEST_F(Sequential, TheStopIsWhereAnImageDrawnInFullWouldHaveStopped) {
  // The same counters without stopping: every checkpoint's counts are those of a fixed run of that
  // n.
  const auto sequential = certified(settings_, all_of(data_));
  const std::vector<Certificate> stopped = certificates_;
  for (const Certificate& c : stopped) {
    CertifySettings fixed = settings_;
    fixed.sequential = false;
    fixed.stopping = {};
    std::optional<StopReason> reason;
    for (const std::uint64_t n : checkpoints(settings_.n)) {
      fixed.n = n;
      certificates_.clear();
      const std::vector<std::uint32_t> alone{c.image};
      certified(fixed, alone);
      const Certificate& at = certificates_.front();
      reason = stops_here(at.selection, at.estimation, settings_, kShape);
      if (!reason) continue;
      EXPECT_EQ(at.estimation.counts, c.estimation.counts) << c.image;
      break;
    }
    EXPECT_EQ(reason, c.stop) << c.image;
  }
}

TEST_F(Sequential, AStoreThatWasInterruptedAnywhereEndsTheSame) {
  const Network network;  // known by its hash alone
  RunSettings run;
  run.model_hash = "fake";
  run.dataset_hash = "flat";
  run.shape = kShape;
  run.classes = 2;
  run.certify = settings_;
  run.arithmetic = test::sample_settings().arithmetic;
  run.precision = "exact-f32";
  const auto whole = certified(settings_, all_of(data_));
  TemporaryFolder folder;
  std::mt19937 random(7);
  int stops = 0;
  bool some_interrupted = false;
  for (int attempt = 0; attempt < 400; ++attempt) {
    auto store = ResultsStore::open(folder.path("s.db"), Access::read_write);
    const auto id = store->find_or_create_run(run).id;
    std::vector<std::uint32_t> todo;
    const auto held = store->certificates(id);
    for (const std::uint32_t image : all_of(data_))
      if (std::ranges::find(held, image, &Certificate::image) == held.end()) todo.push_back(image);
    if (todo.empty()) break;
    std::stop_source stop;
    const std::size_t after = random() % 40;
    const std::size_t before = model_.jobs_seen.size();
    std::size_t counted = 0;
    (void)before;
    model_.before_job = [&](std::size_t) {
      if (counted++ == after) stop.request_stop();
    };
    CertifyCallbacks callbacks;
    callbacks.on_chunk = [&](const ChunkCounts& c) { store->add_chunk(id, c); };
    callbacks.on_certificate = [&](const Certificate& c) { store->add_certificate(id, c); };
    const auto chunks = store->chunks(id);
    try {
      certify(model_, data_, todo, settings_, chunks, callbacks, stop.get_token());
    } catch (const Interrupted&) {
      ++stops;
      store->flush();
      const RunInfo info = store->runs()[0];
      for (const Certificate& c : interrupted_certificates(info, store->chunks(id))) {
        some_interrupted = true;
        EXPECT_EQ(c.stop, StopReason::interrupted);
        EXPECT_EQ(c.label, 0);
      }
    }
  }
  model_.before_job = {};
  EXPECT_GT(stops, 3);
  EXPECT_TRUE(some_interrupted);
  const auto store = ResultsStore::open(folder.path("s.db"), Access::read_only);
  std::map<std::uint32_t, std::string> texts;
  for (const Certificate& c : store->certificates(1))
    texts.emplace(c.image, store::certificate_text(c));
  EXPECT_EQ(texts, whole);
  EXPECT_TRUE(store->chunks(1).empty());
}

TEST_F(Sequential, PartialCountsAcrossACheckpointAreRefused) {
  ChunkCounts chunk{0, Purpose::estimate, 0, 600, {{600, 0}, 0}, 0};
  const std::vector<ChunkCounts> done{chunk};
  EXPECT_THAT(test::error_of([&] { certified(settings_, all_of(data_), done); }),
              testing::HasSubstr("run across a checkpoint"));
}

// A half-space of known p, at the level of the run: errors of the anytime bound at the moments the
// rule chooses stay below α. Fixed-n Clopper–Pearson read at those moments would not.
TEST_F(Sequential, StoppedBoundsAreFalseLessOftenThanAlphaAllows) {
  settings_.alpha = 0.2;
  settings_.n = 2000;
  settings_.n0 = 1;
  settings_.stopping = {StopRule::within, 0.3};
  constexpr std::size_t kImages = 20000;
  Dataset data = flat_data(kImages, kShape, 178, 2);
  // P(noisy pixel > 127.5) = Φ((178 − 127 − ½)/(255·½)).
  const double p = 0.5 * std::erfc(-(178 - 127.5) / (255 * 0.5) / std::sqrt(2.0));
  std::size_t wrong = 0, chosen = 0;
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [&](const Certificate& c) {
    if (c.selected != 0) return;
    ++chosen;
    wrong += c.p_lower > p ? 1 : 0;
  };
  FakeModel model{kShape, 2, [](std::span<const float> x) { return x[0] > 0.5f ? 0 : 1; }};
  certify(model, data, all_of(data), settings_, {}, callbacks);
  const double share = static_cast<double>(wrong) / static_cast<double>(chosen);
  EXPECT_GT(chosen, kImages / 2);
  EXPECT_LE(share, 0.2 + 4 * std::sqrt(0.2 * 0.8 / static_cast<double>(chosen)));
}

}  // namespace
}  // namespace smoothcert
