// The mechanics of CERTIFY: jobs, resume, cancellation, refusals. What its certificates mean is
// tested in referee_certificate_test.cpp.
#include "smoothcert/certify.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "fake_model_support.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert {
namespace {

using test::all_of;
using test::FakeModel;
using test::flat_data;

constexpr ImageShape kOnePixel{1, 1, 1};

/// Three classes by brightness; a tenth of the samples gets no valid answer.
int by_brightness(std::span<const float> x) {
  if (x[0] > 0.3f && x[0] < 0.4f) return -1;
  return x[0] < 0.5f ? 0 : x[0] < 0.9f ? 1 : 2;
}

CertifySettings settings_of(std::uint64_t n0, std::uint64_t n) {
  CertifySettings settings;
  settings.sigma = 0.25;
  settings.n0 = n0;
  settings.n = n;
  settings.seed = 42;
  return settings;
}

std::vector<Certificate> run(FakeModel& model, const Dataset& data, const CertifySettings& settings,
                             std::span<const std::uint32_t> indices,
                             std::span<const ChunkCounts> done = {}) {
  std::map<std::uint32_t, Certificate> found;
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [&](const Certificate& c) {
    EXPECT_TRUE(found.emplace(c.image, c).second) << "two certificates of image " << c.image;
  };
  certify(model, data, indices, settings, done, callbacks);
  std::vector<Certificate> sorted;
  for (auto& [image, certificate] : found) sorted.push_back(std::move(certificate));
  return sorted;
}

using Key = std::tuple<std::uint32_t, int, double, double, std::vector<std::uint64_t>,
                       std::uint64_t, std::vector<std::uint64_t>, std::uint64_t>;
std::vector<Key> keys(const std::vector<Certificate>& certificates) {
  std::vector<Key> out;
  for (const Certificate& c : certificates)
    out.emplace_back(c.image, c.prediction, c.radius, c.p_lower, c.selection.counts,
                     c.selection.invalid, c.estimation.counts, c.estimation.invalid);
  return out;
}

std::uint64_t votes(const StageCounts& stage) {
  std::uint64_t sum = stage.invalid;
  for (const std::uint64_t count : stage.counts) sum += count;
  return sum;
}

TEST(Certify, CountsEverySampleOfBothStagesOnce) {
  const Dataset data = flat_data(3, kOnePixel, 100, 3);
  FakeModel model(kOnePixel, 3, by_brightness);
  // Two and a bit jobs an image.
  const auto certificates = run(model, data, settings_of(777, 140001), all_of(data));
  ASSERT_EQ(certificates.size(), 3u);
  for (const Certificate& c : certificates) {
    EXPECT_EQ(votes(c.selection), 777u);
    EXPECT_EQ(votes(c.estimation), 140001u);
    EXPECT_GT(c.estimation.invalid, 0u);
  }
  // Every counter (purpose, image, sample) exactly once, and the stages never share one.
  std::map<std::pair<std::uint32_t, Purpose>, std::vector<std::pair<std::uint64_t, std::uint64_t>>>
      ranges;
  for (const VoteJob& job : model.jobs_seen)
    ranges[{job.image, job.purpose}].push_back({job.first, job.last});
  EXPECT_EQ(ranges.size(), 6u);
  for (auto& [key, list] : ranges) {
    std::sort(list.begin(), list.end());
    EXPECT_TRUE(key.second == Purpose::select || key.second == Purpose::estimate);
    std::uint64_t at = 0;
    for (const auto& [first, last] : list) {
      EXPECT_EQ(first, at);
      at = last;
    }
    EXPECT_EQ(at, key.second == Purpose::select ? 777u : 140001u);
  }
}

TEST(Certify, StagesDrawDifferentNoise) {
  NoiseSpec noise;
  noise.sigma = 0.25;
  noise.clamp = false;
  noise.table = make_lattice_table(0.25, 784);
  const std::vector<std::uint8_t> pixels(784, 128);
  std::set<std::vector<float>> seen;
  for (const Purpose purpose : {Purpose::select, Purpose::estimate, Purpose::predict})
    for (std::uint32_t image = 0; image < 2; ++image)
      for (std::uint64_t sample = 0; sample < 4; ++sample)
        EXPECT_TRUE(seen.insert(test::noisy_input(noise, {image, pixels.data(), purpose, 0, 4},
                                                  sample, 784))
                        .second);
  noise.seed = 1;
  EXPECT_TRUE(
      seen.insert(test::noisy_input(noise, {0, pixels.data(), Purpose::select, 0, 4}, 0, 784))
          .second);
}

TEST(Certify, OrderOfJobsAndOfImagesDoesNotMatter) {
  const Dataset data = flat_data(8, kOnePixel, 110, 3);
  const auto settings = settings_of(100, 70000);
  FakeModel model(kOnePixel, 3, by_brightness);
  const auto expected = keys(run(model, data, settings, all_of(data)));
  FakeModel backwards(kOnePixel, 3, by_brightness);
  backwards.reverse = true;
  EXPECT_EQ(keys(run(backwards, data, settings, all_of(data))), expected);
  FakeModel other(kOnePixel, 3, by_brightness);
  EXPECT_EQ(keys(run(other, data, settings, std::vector<std::uint32_t>{5, 3, 7, 0, 1, 6, 2, 4})),
            expected);
  // Shards: each image's certificate is that of the whole.
  std::vector<Key> shards;
  for (std::uint32_t image = 0; image < 8; ++image) {
    FakeModel shard(kOnePixel, 3, by_brightness);
    const auto part = keys(run(shard, data, settings, std::vector<std::uint32_t>{image}));
    shards.insert(shards.end(), part.begin(), part.end());
  }
  EXPECT_EQ(shards, expected);
  auto reseeded = settings;
  reseeded.seed = 43;
  FakeModel again(kOnePixel, 3, by_brightness);
  EXPECT_NE(keys(run(again, data, reseeded, all_of(data))), expected);
}

/// The counts of samples [first, last) alone.
ChunkCounts chunk(const Dataset& data, const CertifySettings& settings, std::uint32_t image,
                  Purpose stage, std::uint64_t first, std::uint64_t last) {
  FakeModel model(kOnePixel, 3, by_brightness);
  VoteSettings votes;
  votes.noise = {settings.noise, settings.sigma, settings.clamp, settings.seed,
                 make_lattice_table(settings.sigma, 1)};
  ChunkCounts counted{image, stage, first, last, {}};
  const auto vote_run = model.count_votes(
      votes, {{image, data.image(image).data(), stage, first, last}}, [&](const VoteResult& r) {
        counted.counts = {r.counts, r.invalid};
      });
  vote_run->wait();
  return counted;
}

TEST(Certify, ContinuesFromChunksOfAnyCutWithoutDrawingThemAgain) {
  const Dataset data = flat_data(3, kOnePixel, 110, 3);
  const auto settings = settings_of(1000, 80000);
  FakeModel fresh(kOnePixel, 3, by_brightness);
  const auto expected = keys(run(fresh, data, settings, all_of(data)));

  std::vector<ChunkCounts> done = {
      chunk(data, settings, 0, Purpose::estimate, 70000, 79999),  // out of order, odd cuts
      chunk(data, settings, 0, Purpose::estimate, 17, 18),
      chunk(data, settings, 0, Purpose::select, 0, 999),
      chunk(data, settings, 1, Purpose::select, 0, 1000),  // an image with nothing left to do
      chunk(data, settings, 1, Purpose::estimate, 0, 80000),
  };
  FakeModel model(kOnePixel, 3, by_brightness);
  EXPECT_EQ(keys(run(model, data, settings, all_of(data), done)), expected);
  std::uint64_t drawn = 0;
  for (const VoteJob& job : model.jobs_seen) {
    EXPECT_NE(job.image, 1u);
    drawn += job.last - job.first;
  }
  EXPECT_EQ(drawn, 3 * 81000u - 9999 - 1 - 999 - 81000);

  FakeModel idle(kOnePixel, 3, by_brightness);
  const std::vector<std::uint32_t> only_done = {1};
  EXPECT_EQ(run(idle, data, settings, only_done, done).size(), 1u);
  EXPECT_TRUE(idle.jobs_seen.empty());
}

TEST(Certify, RefusesChunksThatWouldCountWrongly) {
  const Dataset data = flat_data(1, kOnePixel, 110, 3);
  const auto settings = settings_of(100, 1000);
  const auto attempt = [&](std::vector<ChunkCounts> done) {
    FakeModel model(kOnePixel, 3, by_brightness);
    run(model, data, settings, all_of(data), done);
  };
  const auto good = chunk(data, settings, 0, Purpose::estimate, 100, 200);
  EXPECT_NO_THROW(attempt({good}));
  EXPECT_THROW(attempt({good, good}), Error);
  EXPECT_THROW(attempt({good, chunk(data, settings, 0, Purpose::estimate, 199, 300)}), Error);
  EXPECT_THROW(attempt({chunk(data, settings, 0, Purpose::estimate, 900, 1001)}), Error);
  EXPECT_THROW(attempt({chunk(data, settings, 0, Purpose::predict, 0, 10)}), Error);
  auto damaged = good;
  damaged.counts.counts[0] += 1;
  EXPECT_THROW(attempt({damaged}), Error);
  damaged = good;
  damaged.counts.counts.pop_back();
  EXPECT_THROW(attempt({damaged}), Error);
}

TEST(Certify, InterruptedAndContinuedIsTheSameAsUninterrupted) {
  const Dataset data = flat_data(6, kOnePixel, 110, 3);
  const auto settings = settings_of(100, 150000);
  FakeModel whole(kOnePixel, 3, by_brightness);
  const auto expected = keys(run(whole, data, settings, all_of(data)));

  for (const std::size_t stop_after : {0u, 1u, 3u, 7u, 20u}) {
    std::stop_source stop;
    FakeModel model(kOnePixel, 3, by_brightness);
    model.before_job = [&](std::size_t counted) {
      if (counted == stop_after) stop.request_stop();
    };
    std::vector<Certificate> finished;
    std::vector<ChunkCounts> chunks;
    CertifyCallbacks callbacks;
    callbacks.on_certificate = [&](const Certificate& c) { finished.push_back(c); };
    callbacks.on_chunk = [&](const ChunkCounts& c) { chunks.push_back(c); };
    EXPECT_THROW(certify(model, data, all_of(data), settings, {}, callbacks, stop.get_token()),
                 Interrupted);
    ASSERT_LT(finished.size(), 6u);
    std::vector<std::uint32_t> left;
    for (std::uint32_t image = 0; image < 6; ++image)
      if (std::none_of(finished.begin(), finished.end(),
                       [&](const Certificate& c) { return c.image == image; }))
        left.push_back(image);
    std::vector<ChunkCounts> useful;
    std::uint64_t kept = 0;
    for (const ChunkCounts& c : chunks)
      if (std::find(left.begin(), left.end(), c.image) != left.end()) {
        useful.push_back(c);
        kept += c.last - c.first;
      }
    FakeModel second(kOnePixel, 3, by_brightness);
    auto rest = run(second, data, settings, left, useful);
    rest.insert(rest.end(), finished.begin(), finished.end());
    std::sort(rest.begin(), rest.end(),
              [](const Certificate& a, const Certificate& b) { return a.image < b.image; });
    EXPECT_EQ(keys(rest), expected) << stop_after;
    std::uint64_t drawn = 0;
    for (const VoteJob& job : second.jobs_seen) drawn += job.last - job.first;
    EXPECT_EQ(drawn, left.size() * 150100 - kept);
    if (stop_after >= 3) {
      EXPECT_TRUE(kept > 0 || finished.size() > 0);
    }
  }
}

TEST(Certify, ProgressEndsAtTheTotals) {
  const Dataset data = flat_data(5, kOnePixel, 110, 3);
  FakeModel model(kOnePixel, 3, by_brightness);
  std::vector<CertifyProgress> seen;
  CertifyCallbacks callbacks;
  callbacks.on_progress = [&](const CertifyProgress& p) { seen.push_back(p); };
  certify(model, data, all_of(data), settings_of(10, 1000), {}, callbacks);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().images_done, 5u);
  EXPECT_EQ(seen.back().images_total, 5u);
  EXPECT_EQ(seen.back().samples_done, 5050u);
  EXPECT_EQ(seen.back().samples_total, 5050u);
}

// Jobs and windows begin small: of a model that counts a hundred samples a second nothing would be
// kept for minutes otherwise. Chunks are told while the window is counted.
TEST(Certify, TellsChunksWhileAWindowIsCounted) {
  const Dataset data = flat_data(1, kOnePixel, 110, 3);
  FakeModel model(kOnePixel, 3, by_brightness);
  std::atomic<std::size_t> told = 0;
  std::size_t told_within = 0;
  model.before_job = [&](std::size_t counted) {
    if (counted == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    told_within = std::max(told_within, told.load());
  };
  CertifyCallbacks callbacks;
  callbacks.on_chunk = [&](const ChunkCounts&) { ++told; };
  certify(model, data, all_of(data), settings_of(10, 500), {}, callbacks);
  EXPECT_GE(told_within, 2u);
  for (const VoteJob& job : model.jobs_seen) EXPECT_LE(job.last - job.first, 32u);
}

TEST(Certify, ABackendThatLosesOrInventsVotesIsAnError) {
  const Dataset data = flat_data(2, kOnePixel, 110, 3);
  const std::vector<std::function<void(VoteResult&)>> faults = {
      [](VoteResult& r) { ++r.counts[1]; },
      [](VoteResult& r) { r.counts.pop_back(); },
      [](VoteResult& r) { r.job = 0; },  // the same job again
      [](VoteResult& r) { r.job = 1000; },
  };
  for (const auto& fault : faults) {
    FakeModel model(kOnePixel, 3, by_brightness);
    model.tamper = fault;
    EXPECT_THROW(run(model, data, settings_of(10, 100), all_of(data)), Error);
  }
  FakeModel broken(kOnePixel, 3, by_brightness);
  broken.before_job = [](std::size_t) { throw Error("device lost"); };
  EXPECT_THROW(run(broken, data, settings_of(10, 100), all_of(data)), Error);
}

TEST(Certify, AFailingCallbackEndsTheRunWithItsError) {
  const Dataset data = flat_data(2, kOnePixel, 110, 3);
  FakeModel model(kOnePixel, 3, by_brightness);
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [](const Certificate&) { throw Error("the disk is full"); };
  try {
    certify(model, data, all_of(data), settings_of(10, 100), {}, callbacks);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the disk is full");
  }
}

TEST(Certify, RefusesSettingsAndImagesThatMakeNoSense) {
  const Dataset data = flat_data(2, kOnePixel, 110, 3);
  const auto message = [&](auto change) -> std::string {
    auto settings = settings_of(10, 100);
    change(settings);
    try {
      validate(settings);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message([](auto&) {}), "");
  for (const double sigma : {0.0, -0.5, std::nan(""), HUGE_VAL, 1e308, 257.0, 9e-5, 5e-324})
    EXPECT_NE(message([&](auto& s) { s.sigma = sigma; }), "");
  for (const double alpha : {0.0, 1.0, -1.0, 2.0, std::nan("")})
    EXPECT_NE(message([&](auto& s) { s.alpha = alpha; }), "");
  EXPECT_NE(message([](auto& s) { s.n0 = 0; }), "");
  EXPECT_NE(message([](auto& s) { s.n = 0; }), "");
  EXPECT_NE(message([](auto& s) { s.n = std::uint64_t{1} << 32; }), "");
  const std::string too_few = message([](auto& s) {
    s.n = 5;
    s.alpha = 1e-9;
  });
  EXPECT_NE(too_few.find("at least n = 30"), std::string::npos) << too_few;
  EXPECT_NE(too_few.find("1e-09"), std::string::npos) << too_few;

  FakeModel model(kOnePixel, 3, by_brightness);
  const std::vector<std::uint32_t> outside = {2}, twice = {1, 1};
  EXPECT_THROW(run(model, data, settings_of(10, 100), outside), UsageError);
  EXPECT_THROW(run(model, data, settings_of(10, 100), twice), UsageError);
  FakeModel wide({1, 2, 1}, 3, by_brightness), narrow(kOnePixel, 2, by_brightness);
  EXPECT_THROW(run(wide, data, settings_of(10, 100), all_of(data)), UsageError);
  EXPECT_THROW(run(narrow, data, settings_of(10, 100), all_of(data)), UsageError);
  EXPECT_TRUE(model.jobs_seen.empty());
}

TEST(MakeCertificate, InvalidSamplesAreNotA) {
  // 95 of 100 for A, 5 without an answer: the bound is that of k = 95, n = 100.
  const auto c = make_certificate(0, 1, {{1, 9}, 0}, {{0, 95}, 5}, {0.5, 0.001});
  EXPECT_EQ(c.p_lower, clopper_pearson_lower(95, 100, 0.001).p_lower);
  EXPECT_EQ(c.prediction, 1);
  EXPECT_TRUE(c.correct());
  // A model without a single valid answer abstains.
  const auto none = make_certificate(0, 0, {{0, 0}, 10}, {{0, 0}, 100}, {0.5, 0.001});
  EXPECT_EQ(none.prediction, -1);
  EXPECT_EQ(none.radius, 0);
  EXPECT_EQ(none.p_lower, 0);
}

TEST(MakeCertificate, AbstainsUnlessTheBoundExceedsOneHalf) {
  const auto at = [](std::uint64_t k) {
    return make_certificate(0, 0, {{1, 0}, 0}, {{k, 100 - k}, 0}, {1, 0.001});
  };
  EXPECT_EQ(at(65).prediction, -1);  // p̲ = 0.49138
  EXPECT_EQ(at(65).radius, 0);
  EXPECT_EQ(at(66).prediction, 0);  // p̲ = 0.50165
  EXPECT_NEAR(at(66).radius, 0.0041358, 1e-6);
}

TEST(MakeCertificate, SelectionTiesGoToTheLowestClassAndOnlySelectionSelects) {
  const auto c = make_certificate(0, 2, {{4, 4, 2}, 0}, {{0, 0, 100}, 0}, {1, 0.05});
  EXPECT_EQ(c.selected, 0);
  EXPECT_EQ(c.prediction, -1);
}

TEST(MakeCertificate, CountedSecondBoundCertifiesBelowOneHalf) {
  const auto at = [](StageCounts counts, SecondBound p_b) {
    return make_certificate(0, 0, {{1, 0, 0, 0}, 0}, std::move(counts), {1, 0.001, 0, p_b});
  };
  const StageCounts spread{{450, 190, 180, 180}, 0};
  EXPECT_EQ(at(spread, SecondBound::complement).prediction, -1);
  const auto counted = at(spread, SecondBound::counted);
  EXPECT_EQ(counted.prediction, 0);
  EXPECT_GT(counted.radius, 0.2);
  EXPECT_EQ(counted.p_lower, clopper_pearson_lower(450, 1000, 0.0005).p_lower);
  // Samples without an answer may be of any class: as many of them as of the second class count so.
  EXPECT_EQ(at({{450, 10, 180, 170}, 190}, SecondBound::counted).radius, counted.radius);
  EXPECT_EQ(at({{300, 290, 210, 200}, 0}, SecondBound::counted).prediction, -1);
  // All votes for A: the price of α/2 twice, and nothing gained.
  const StageCounts all{{1000, 0, 0, 0}, 0};
  EXPECT_LT(at(all, SecondBound::counted).radius, at(all, SecondBound::complement).radius);
}

// Three classes, every outcome of n = 25 enumerated: the share of outcomes that certify more than
// the true radius must not exceed α, whatever the probabilities are.
TEST(MakeCertificate, CountedSecondBoundHoldsItsLevelExactly) {
  constexpr std::uint64_t n = 25;
  constexpr double alpha = 0.1;
  std::map<std::pair<std::uint64_t, std::uint64_t>, double> radii;
  for (std::uint64_t a = 0; a <= n; ++a)
    for (std::uint64_t b = 0; a + b <= n; ++b)
      radii[{a, b}] = make_certificate(0, 0, {{1, 0, 0}, 0}, {{a, b, n - a - b}, 0},
                                       {1, alpha, 0, SecondBound::counted})
                          .radius;
  // Φ⁻¹(p); complement_radius(q, 1) is Φ⁻¹(1 − q) or 0.
  const auto quantile = [](double p) {
    return complement_radius(1 - p, 1) - complement_radius(p, 1);
  };
  double worst = 0;
  for (double p_a = 0.05; p_a < 0.99; p_a += 0.05) {
    for (double p_b = (1 - p_a) / 2; p_b < 1 - p_a; p_b += 0.04) {
      const double p_c = 1 - p_a - p_b;
      const double truth = p_a > p_b ? (quantile(p_a) - quantile(p_b)) / 2 : 0;
      double share = 0;
      for (const auto& [counts, radius] : radii) {
        const auto [a, b] = counts;
        if (radius <= truth) continue;
        const auto x = static_cast<double>(a), y = static_cast<double>(b),
                   z = static_cast<double>(n) - x - y;
        share += std::exp(std::lgamma(n + 1.0) - std::lgamma(x + 1) - std::lgamma(y + 1) -
                          std::lgamma(z + 1) + x * std::log(p_a) + y * std::log(p_b) +
                          z * std::log(p_c));
      }
      EXPECT_LE(share, alpha) << p_a << " " << p_b;
      worst = std::max(worst, share);
    }
  }
  EXPECT_GT(worst, alpha / 20) << "a bound this loose would be of no use";
}

TEST(CeilingRadius, IsThatOfUnanimousVotes) {
  CertifySettings settings = settings_of(10, 1000);
  settings.noise = NoiseLaw::gaussian;
  const ImageShape shape{1, 28, 28};
  const auto unanimous = [&](SecondBound p_b) {
    return make_certificate(0, 0, {{1, 0}, 0}, {{1000, 0}, 0},
                            {settings.sigma, settings.alpha, 0, p_b})
        .radius;
  };
  EXPECT_EQ(ceiling_radius(settings, shape), unanimous(SecondBound::complement));
  settings.p_b = SecondBound::counted;
  EXPECT_EQ(ceiling_radius(settings, shape), unanimous(SecondBound::counted));
  settings.n = min_samples_to_certify(settings.alpha);
  EXPECT_THROW(validate(settings), UsageError) << "alpha/2 takes one sample more";
}

TEST(MakeCertificate, SigmaDoubledAtEqualCountsDoublesTheRadius) {
  const StageCounts selection{{10, 0}, 0}, estimation{{990, 10}, 0};
  const auto once = make_certificate(0, 0, selection, estimation, {0.25, 0.001, 1e-12});
  const auto twice = make_certificate(0, 0, selection, estimation, {0.5, 0.001, 1e-12});
  EXPECT_GT(once.radius, 0);
  EXPECT_EQ(twice.radius, 2 * once.radius);
}

TEST(MakeCertificate, RefusesCountsOfDifferentClasses) {
  EXPECT_THROW(make_certificate(0, 0, {{1, 0}, 0}, {{5, 5, 0}, 0}, {1, 0.05}), Error);
  EXPECT_THROW(make_certificate(0, 0, {{}, 0}, {{}, 0}, {1, 0.05}), Error);
}

TEST(NoiseSlack, IsThatOfTheTableForTheLatticeAndZeroOtherwise) {
  const Dataset data = flat_data(1, {1, 28, 28}, 0, 10);
  CertifySettings settings = settings_of(10, 100);
  settings.sigma = 1;
  EXPECT_EQ(noise_slack(settings, data.shape), 784 * make_lattice_table(1, 784)->slack_per_pixel);
  EXPECT_GT(noise_slack(settings, data.shape), 0);
  settings.noise = NoiseLaw::gaussian;
  EXPECT_EQ(noise_slack(settings, data.shape), 0);
}

}  // namespace
}  // namespace smoothcert
