// A caller's forward pass behind the seam: our noise bit for bit, our votes, and a check that rows
// are what a certificate needs them to be.
#include "smoothcert/external_model.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "cpu_engine_support.hpp"
#include "external/tile_placement.hpp"
#include "fake_model_support.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/noisy_inputs.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using cpu::Counts;
using cpu::random_pixels;

ExternalModelSettings settings_of(const NetworkSpec& spec, int tile = 32) {
  ExternalModelSettings s;
  s.name = "theirs";
  s.input = spec.input;
  s.classes = spec.classes;
  s.tile = tile;
  s.identity = {"hash-of-theirs", "callback cpu float32", R"({"framework":"none"})"};
  s.threads = 2;
  return s;
}

std::vector<Counts> votes_of(BackendModel& model, const NoiseSpec& noise, std::vector<VoteJob> jobs,
                             Mode mode = Mode::external) {
  std::vector<Counts> counts(jobs.size());
  model
      .count_votes({noise, mode}, std::move(jobs),
                   [&](const VoteResult& r) {
                     counts[r.job] = {r.counts, r.invalid};
                   })
      ->wait();
  return counts;
}

/// Our own forward pass, called as a stranger's.
class OursAsTheirs {
 public:
  explicit OursAsTheirs(const NetworkSpec& spec)
      : net_(cpu::lively_network(spec, 7)),
        backend_(make_cpu_backend(2)),
        native_(backend_->load(net_)) {}
  BackendModel& native() { return *native_; }
  const Network& network() const { return net_; }
  LogitsCallback logits() {
    return [this](std::span<float> images, std::span<float> logits) {
      native_->forward(images, logits);
    };
  }

 private:
  Network net_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<BackendModel> native_;
};

NoiseSpec gaussian_noise() {
  NoiseSpec noise;
  noise.law = NoiseLaw::gaussian;
  noise.sigma = 0.7;
  noise.seed = 11;
  noise.clamp = false;
  return noise;
}

TEST(NoisyInputs, AreTheEnginesBitForBit) {
  const auto pixels = random_pixels(3 * 7 * 5, 1);
  for (const NoiseSpec& noise : {cpu::test_noise(true), cpu::test_noise(false), gaussian_noise()}) {
    for (const std::uint64_t first :
         {std::uint64_t{0}, std::uint64_t{3}, 0xFFFFFFC0u + std::uint64_t{0}}) {
      std::vector<float> rows(37 * pixels.size());
      NoiseSpec own = noise;
      if (own.table) own.sigma = own.table->sigma;
      noisy_inputs(own, Purpose::estimate, 9, pixels, first, rows, 3);
      const VoteJob job{9, pixels.data(), Purpose::estimate, 0, 0};
      for (std::size_t row = 0; row < 37; ++row) {
        const auto right = test::noisy_input(own, job, first + row, pixels.size());
        for (std::size_t p = 0; p < pixels.size(); ++p)
          ASSERT_EQ(rows[row * pixels.size() + p], right[p]) << "row " << row << ", pixel " << p;
      }
    }
  }
}

TEST(NoisyInputs, RefuseWhatMakesNoSense) {
  const auto pixels = random_pixels(12, 1);
  std::vector<float> rows(24);
  const NoiseSpec noise = gaussian_noise();
  EXPECT_THROW(noisy_inputs(noise, Purpose::estimate, 0, {}, 0, rows), UsageError);
  EXPECT_THROW(noisy_inputs(noise, Purpose::estimate, 0, pixels, 0, std::span(rows).first(13)),
               UsageError);
  EXPECT_THROW(noisy_inputs(noise, Purpose::estimate, 0, pixels, 0xFFFFFFFFu, rows), UsageError);
  NoiseSpec lattice = noise;
  lattice.law = NoiseLaw::lattice;
  EXPECT_THROW(noisy_inputs(lattice, Purpose::estimate, 0, pixels, 0, rows), UsageError);
}

TEST(TilePlacer, PacksSamplesOfAllJobsAndFillsTheLastTile) {
  const std::vector<VoteJob> jobs{{1, nullptr, Purpose::select, 0, 5},
                                  {1, nullptr, Purpose::estimate, 7, 7},
                                  {2, nullptr, Purpose::estimate, 10, 20}};
  external::TilePlacer placer(jobs, 8, external::Placement::packed);
  external::Tile tile;
  ASSERT_TRUE(placer.next(tile));
  ASSERT_EQ(tile.drawn.size(), 2u);
  EXPECT_EQ(tile.drawn[1].first, 10u);
  EXPECT_EQ(tile.drawn[1].row, 5u);
  EXPECT_EQ(tile.drawn[1].count, 3u);
  ASSERT_TRUE(placer.next(tile));
  EXPECT_EQ(tile.drawn[0].first, 13u);
  EXPECT_EQ(tile.drawn[0].count, 8u);
  EXPECT_EQ(tile.counted[0].end, 7u);
  EXPECT_FALSE(placer.next(tile));
}

TEST(TilePlacer, AlignedSamplesSitInRowsOfTheirOwnAmongTheSameOthers) {
  const std::vector<VoteJob> jobs{{1, nullptr, Purpose::estimate, 0, 10},
                                  {1, nullptr, Purpose::estimate, 10, 13},
                                  {2, nullptr, Purpose::estimate, 13, 14}};
  external::TilePlacer placer(jobs, 8, external::Placement::aligned);
  external::Tile tile;
  std::map<std::size_t, std::uint64_t> counted;
  std::size_t tiles = 0;
  while (placer.next(tile)) {
    ++tiles;
    ASSERT_EQ(tile.drawn.size(), 1u);
    EXPECT_EQ(tile.drawn[0].first % 8, 0u);
    EXPECT_EQ(tile.drawn[0].count, 8u);
    for (const auto& rows : tile.counted) counted[rows.job] += rows.end - rows.begin;
  }
  EXPECT_EQ(tiles, 3u);  // the cut at 10 costs none
  EXPECT_EQ(counted[0], 10u);
  EXPECT_EQ(counted[1], 3u);
  EXPECT_EQ(counted[2], 1u);
}

TEST(ExternalModel, VotesOfOurOwnForwardPassAreTheNativeExactVotes) {
  for (const char* name : {"convnn", "mlp"}) {
    OursAsTheirs ours(builtin_network(name));
    std::vector<std::vector<std::uint8_t>> images;
    std::vector<VoteJob> jobs;
    for (std::uint32_t i = 0; i < 3; ++i)
      images.push_back(random_pixels(ours.network().spec.input.size(), i));
    for (std::uint32_t i = 0; i < 3; ++i) {
      jobs.push_back({i, images[i].data(), Purpose::select, 0, 45});
      jobs.push_back({i, images[i].data(), Purpose::estimate, 3, 200});
      jobs.push_back({i, images[i].data(), Purpose::estimate, 200, 200});
    }
    for (const NoiseSpec& noise : {cpu::test_noise(true), gaussian_noise()}) {
      const auto native = votes_of(ours.native(), noise, jobs, Mode::exact);
      EXPECT_LT(native[1].counts[0], 197u) << "one answer only would make this test vacuous";
      for (const int tile : {1, 32, 100}) {
        ExternalModel theirs(settings_of(ours.network().spec, tile), ours.logits());
        EXPECT_EQ(votes_of(theirs, noise, jobs), native) << name << ", tile " << tile;
      }
    }
  }
}

TEST(ExternalModel, LabelsVoteAsLogitsDo) {
  OursAsTheirs ours(builtin_network("mlp"));
  const auto pixels = random_pixels(784, 1);
  const std::vector<VoteJob> jobs{{4, pixels.data(), Purpose::estimate, 0, 300}};
  const int classes = ours.network().spec.classes;
  LabelsCallback labels = [&](std::span<float> images, std::span<std::int64_t> out) {
    std::vector<float> logits(out.size() * static_cast<std::size_t>(classes));
    ours.native().forward(images, logits);
    for (std::size_t row = 0; row < out.size(); ++row) {
      const auto* first = logits.data() + row * static_cast<std::size_t>(classes);
      out[row] = std::max_element(first, first + classes) - first;
    }
  };
  ExternalModel theirs(settings_of(ours.network().spec), labels);
  const NoiseSpec noise = cpu::test_noise(true);
  EXPECT_EQ(votes_of(theirs, noise, jobs), votes_of(ours.native(), noise, jobs, Mode::exact));
}

NetworkSpec tiny_spec(int classes = 3) {
  NetworkSpec spec;
  spec.name = "tiny";
  spec.input = {1, 2, 2};
  spec.classes = classes;
  return spec;
}
const std::vector<std::uint8_t> kTinyPixels{10, 100, 150, 250};

/// Row by row: the class is how much brighter the first pixel is than the last.
void brighter(std::span<float> images, std::span<float> logits) {
  for (std::size_t row = 0; row < images.size() / 4; ++row) {
    logits[3 * row] = images[4 * row] - images[4 * row + 3];
    logits[3 * row + 1] = images[4 * row + 3] - images[4 * row];
    logits[3 * row + 2] = -10;
  }
}

TEST(ExternalModel, TiesGoToTheLowestIndexAndNanVotesForNobody) {
  ExternalModel model(settings_of(tiny_spec()), [](std::span<float> images, std::span<float> out) {
    for (std::size_t row = 0; row < images.size() / 4; ++row) {
      const bool invalid = images[4 * row] > 0.1f;
      out[3 * row] = 1;
      out[3 * row + 1] = invalid ? std::numeric_limits<float>::quiet_NaN() : 1;
      out[3 * row + 2] = 1;
    }
  });
  const auto counts =
      votes_of(model, cpu::test_noise(true), {{0, kTinyPixels.data(), Purpose::estimate, 0, 500}});
  EXPECT_EQ(counts[0].counts[0] + counts[0].invalid, 500u);
  EXPECT_GT(counts[0].counts[0], 0u);
  EXPECT_GT(counts[0].invalid, 0u);
}

TEST(ExternalModel, WhatACallbackLeavesUnwrittenVotesForNobody) {
  ExternalModel model(settings_of(tiny_spec()), [](std::span<float>, std::span<float>) {});
  EXPECT_EQ(
      votes_of(model, cpu::test_noise(true), {{0, kTinyPixels.data(), Purpose::estimate, 0, 50}})[0]
          .invalid,
      50u);
}

TEST(ExternalModel, AClassThatDoesNotExistIsAnError) {
  ExternalModel model(settings_of(tiny_spec()), [](std::span<float>, std::span<std::int64_t> out) {
    std::fill(out.begin(), out.end(), 3);
  });
  EXPECT_THROW(
      votes_of(model, cpu::test_noise(true), {{0, kTinyPixels.data(), Purpose::estimate, 0, 50}}),
      Error);
}

// Batch statistics: the mean of the tile is subtracted.
void centred(std::span<float> images, std::span<float> logits) {
  const float mean =
      std::accumulate(images.begin(), images.end(), 0.0f) / static_cast<float>(images.size());
  for (std::size_t row = 0; row < images.size() / 4; ++row) {
    logits[3 * row] = images[4 * row] - mean;
    logits[3 * row + 1] = images[4 * row + 1] - mean;
    logits[3 * row + 2] = 0;
  }
}

TEST(ExternalModelCheck, RefusesAnswersThatDependOnTheBatch) {
  const std::vector<VoteJob> jobs{{0, kTinyPixels.data(), Purpose::estimate, 0, 50}};
  ExternalModel refused(settings_of(tiny_spec()), centred);
  const std::string message =
      test::error_of([&] { votes_of(refused, cpu::test_noise(true), jobs); });
  EXPECT_NE(message.find("shares a batch"), std::string::npos) << message;

  auto settings = settings_of(tiny_spec());
  settings.allow_batch_dependence = true;
  ExternalModel allowed(settings, centred);
  EXPECT_EQ(votes_of(allowed, cpu::test_noise(true), jobs)[0].total(), 50u);
  EXPECT_NE(allowed.identity().record.find("\"batch_dependent\":true"), std::string::npos);
}

TEST(ExternalModelCheck, RefusesAnswersThatCannotBeRepeated) {
  int call = 0;
  ExternalModel model(settings_of(tiny_spec()), [&](std::span<float> images, std::span<float> out) {
    brighter(images, out);
    out[5] += static_cast<float>(++call);
  });
  const std::string message = test::error_of([&] {
    votes_of(model, cpu::test_noise(true), {{0, kTinyPixels.data(), Purpose::estimate, 0, 50}});
  });
  EXPECT_NE(message.find("answered twice"), std::string::npos) << message;
}

// An answer that depends on where a row sits: counts must still be a function of the samples.
TEST(ExternalModelCheck, PositionsAreNotedAndCutsChangeNoCount) {
  const auto by_position = [](std::span<float> images, std::span<float> out) {
    brighter(images, out);
    for (std::size_t row = 0; row < images.size() / 4; row += 3) out[3 * row + 2] = 10;
  };
  ExternalModel model(settings_of(tiny_spec()), by_position);
  const NoiseSpec noise = cpu::test_noise(true);
  const auto job = [](std::uint64_t first, std::uint64_t last) {
    return VoteJob{0, kTinyPixels.data(), Purpose::estimate, first, last};
  };
  const Counts whole = votes_of(model, noise, {job(0, 333)})[0];
  EXPECT_NE(model.identity().record.find("\"position_dependent\":true"), std::string::npos);
  for (const std::uint64_t cut : {1, 31, 32, 100}) {
    const auto parts = votes_of(model, noise, {job(cut, 333), job(0, cut)});
    EXPECT_EQ(parts[0] + parts[1], whole) << cut;
    EXPECT_EQ(votes_of(model, noise, {job(0, cut)})[0] + votes_of(model, noise, {job(cut, 333)})[0],
              whole);
  }
}

TEST(ExternalModelCheck, RowsThatAreAllAlikeAreFoundSo) {
  ExternalModel model(settings_of(tiny_spec()), brighter);
  votes_of(model, cpu::test_noise(true), {{0, kTinyPixels.data(), Purpose::estimate, 0, 5}});
  const std::string record = model.identity().record;
  EXPECT_NE(record.find("\"position_dependent\":false"), std::string::npos) << record;
  EXPECT_NE(record.find("\"batch_dependent\":false"), std::string::npos) << record;
  EXPECT_NE(record.find("\"tile\":32"), std::string::npos) << record;
  EXPECT_NE(record.find("\"framework\":\"none\""), std::string::npos) << record;
}

TEST(ExternalModel, RefusesOtherModesAndSettingsOutOfRange) {
  ExternalModel model(settings_of(tiny_spec()), brighter);
  EXPECT_THROW(votes_of(model, cpu::test_noise(true),
                        {{0, kTinyPixels.data(), Purpose::estimate, 0, 5}}, Mode::exact),
               UsageError);
  const auto refused = [](auto change) {
    auto settings = settings_of(tiny_spec());
    change(settings);
    EXPECT_THROW(ExternalModel(settings, LogitsCallback(brighter)), UsageError);
  };
  refused([](auto& s) { s.tile = 0; });
  refused([](auto& s) { s.classes = 0; });
  refused([](auto& s) { s.input = {1, 0, 2}; });
  refused([](auto& s) { s.identity.hash.clear(); });
  refused([](auto& s) { s.identity.precision.clear(); });
  refused([](auto& s) { s.identity.record = "[]"; });
  refused([](auto& s) { s.threads = -1; });
}

// --- driven by certify() and the store -----------------------------------------------------------

CertifySettings quick_settings() {
  CertifySettings s;
  s.sigma = 0.5;
  s.n0 = 20;
  s.n = 500;
  s.alpha = 0.01;
  s.mode = Mode::external;
  return s;
}

struct Campaign {
  Dataset data;
  Network named;  // what a request names; an external model has no weights of ours
  test::TemporaryFolder folder;

  Campaign() : data(test::flat_data(4, {1, 2, 2}, 40, 3)) {
    for (std::size_t i = 0; i < data.size(); ++i)
      data.pixels[4 * i] = static_cast<std::uint8_t>(60 * i);
    named.spec = tiny_spec();
  }
  CertificationRequest request() {
    return {named, "theirs", data, quick_settings(), test::all_of(data), {}};
  }
};

TEST(ExternalCampaign, IsStoredAsExternalAndResumed) {
  Campaign c;
  ExternalModel model(settings_of(tiny_spec()), brighter);
  const auto file = c.folder.path("runs.sqlite");
  const auto first = certify_into_store(*ResultsStore::open(file, ResultsStore::Access::read_write),
                                        model, c.request());
  EXPECT_EQ(first.certified_images, 4u);
  EXPECT_EQ(first.run.settings.model_hash, "hash-of-theirs");
  EXPECT_EQ(first.run.settings.precision, "callback cpu float32");
  EXPECT_EQ(soundness_of(first.run.settings), Soundness::independent_rows);
  const auto store = ResultsStore::open(file, ResultsStore::Access::read_write);
  ASSERT_EQ(store->runs().size(), 1u);
  EXPECT_NE(store->runs()[0].settings.external.find("\"tile\":32"), std::string::npos);
  const auto again = certify_into_store(*store, model, c.request());
  EXPECT_EQ(again.resumed_images, 4u);
  EXPECT_EQ(again.certified_images, 0u);
}

TEST(ExternalCampaign, AnExceptionEndsTheRunAndGoingOnGivesTheSameCounts) {
  Campaign c;
  auto settings = settings_of(tiny_spec(), 16);
  ExternalModel whole_model(settings, brighter);
  const auto whole = certify_into_store(
      *ResultsStore::open(c.folder.path("whole.sqlite"), ResultsStore::Access::read_write),
      whole_model, c.request());

  std::atomic<int> calls_left = 60;  // of 8 for the check and 130
  const auto failing = [&](std::span<float> images, std::span<float> out) {
    if (--calls_left < 0) throw std::domain_error("out of memory, said the model");
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // slow: small jobs, small windows
    brighter(images, out);
  };
  const auto file = c.folder.path("cut.sqlite");
  {
    ExternalModel model(settings, failing);
    const auto store = ResultsStore::open(file, ResultsStore::Access::read_write);
    EXPECT_THROW(certify_into_store(*store, model, c.request()), std::domain_error);
    EXPECT_FALSE(store->certificates(1).empty() && store->chunks(1).empty());
  }
  ExternalModel model(settings, brighter);
  const auto store = ResultsStore::open(file, ResultsStore::Access::read_write);
  const auto rest = certify_into_store(*store, model, c.request());
  EXPECT_GT(rest.resumed_images + rest.resumed_samples, 0u);
  ASSERT_EQ(rest.certificates.size(), whole.certificates.size());
  for (std::size_t i = 0; i < whole.certificates.size(); ++i) {
    EXPECT_EQ(rest.certificates[i].estimation.counts, whole.certificates[i].estimation.counts);
    EXPECT_EQ(rest.certificates[i].radius, whole.certificates[i].radius);
  }
}

TEST(ExternalCampaign, ModesAreNotMixedUp) {
  Campaign c;
  ExternalModel model(settings_of(tiny_spec()), brighter);
  auto request = c.request();
  request.settings.mode = Mode::exact;
  const auto store =
      ResultsStore::open(c.folder.path("runs.sqlite"), ResultsStore::Access::read_write);
  EXPECT_THROW(certify_into_store(*store, model, request), UsageError);
  OursAsTheirs ours(builtin_network("mlp"));
  auto data = test::flat_data(1, ours.network().spec.input, 40, 2);
  const CertificationRequest external{ours.network(), "ours", data, quick_settings(), {0}, {}};
  EXPECT_THROW(certify_into_store(*store, ours.native(), external), UsageError);
  EXPECT_TRUE(store->runs().empty());
}

TEST(ExternalCampaign, WindowsHoldWholeTiles) {
  // Of a slow model a window is less than a tile long: what fills it up would cost as much.
  Campaign c;
  int calls = 0;
  ExternalModel model(settings_of(tiny_spec(), 256),
                      [&](std::span<float> images, std::span<float> out) {
                        ++calls;
                        std::this_thread::sleep_for(std::chrono::milliseconds(30));
                        brighter(images, out);
                      });
  const auto settings = quick_settings();
  certify(model, c.data, std::vector<std::uint32_t>{0, 1}, settings, {}, {});
  const int checks = 8, needed = 5;  // 2·520 samples in tiles of 256
  EXPECT_LE(calls, checks + needed);
}

}  // namespace
}  // namespace smoothcert
