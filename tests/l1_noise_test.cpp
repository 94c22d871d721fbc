// Noise laws that certify L1, from the draw to the store: splitting noise, exactly, and uniform
// noise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "campaign_support.hpp"
#include "fake_model_support.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/device/split_noise.hpp"
#include "smoothcert/device/uniform_noise.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/l1_certificates.hpp"
#include "smoothcert/merge.hpp"
#include "smoothcert/noisy_inputs.hpp"
#include "smoothcert/predict.hpp"
#include "store/sqlite.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::TemporaryFolder;
using testing::HasSubstr;
using Access = ResultsStore::Access;

CertifySettings split_settings(double lambda, std::uint64_t seed = 0) {
  CertifySettings settings;
  settings.noise = NoiseLaw::split;
  settings.sigma = lambda;
  settings.seed = seed;
  return settled(settings);
}

CertifySettings uniform_settings(double lambda) {
  CertifySettings settings;
  settings.noise = NoiseLaw::uniform;
  settings.sigma = lambda;
  settings.n0 = 20;
  settings.n = 500;
  settings.alpha = 0.01;
  return settled(settings);
}

TEST(NoiseLaws, SayWhatTheirCountsAreWorth) {
  for (const auto& named : Names<NoiseLaw>::kValues)
    EXPECT_EQ(noise_traits(named.value).law, named.value);
  EXPECT_EQ(noise_traits(NoiseLaw::lattice).norm, Norm::l2);
  EXPECT_EQ(noise_traits(NoiseLaw::gaussian).norm, Norm::l2);
  EXPECT_EQ(noise_traits(NoiseLaw::uniform).norm, Norm::l1);
  EXPECT_EQ(noise_traits(NoiseLaw::split).norm, Norm::l1);
  EXPECT_EQ(noise_traits(NoiseLaw::uniform).kind, CertificateKind::probabilistic);
  EXPECT_EQ(noise_traits(NoiseLaw::split).kind, CertificateKind::exact);
  EXPECT_EQ(guarantee_text(NoiseLaw::lattice, Mode::exact), "sound as executed");
  EXPECT_EQ(guarantee_text(NoiseLaw::uniform, Mode::exact), "in L1, sound as executed");
  EXPECT_EQ(guarantee_text(NoiseLaw::split, Mode::exact), "exact in L1, sound as executed");
  EXPECT_EQ(soundness_of(NoiseLaw::split, Mode::external), Soundness::independent_rows);
}

TEST(NoiseLaws, WidthsAreThoseThatCanBeDrawn) {
  EXPECT_EQ(noise_width(NoiseLaw::split, 0.5), 255u);
  EXPECT_EQ(noise_width(NoiseLaw::split, 1), 510u);
  EXPECT_EQ(noise_width(NoiseLaw::uniform, 0.25), 128u);
  EXPECT_EQ(noise_width(NoiseLaw::uniform, 0.5), 256u);
  EXPECT_EQ(noise_width(NoiseLaw::uniform, 256 / 510.0), 256u);
  EXPECT_EQ(noise_width(NoiseLaw::uniform, 4), 2048u);
  EXPECT_EQ(noise_width(NoiseLaw::lattice, 0.5), 0u);
  for (const double lambda : {0.0, -1.0, 0.3, 0.75, 1e9, std::nan("")})
    EXPECT_THROW(noise_width(NoiseLaw::uniform, lambda), UsageError) << lambda;
  for (const double lambda : {0.0, 0.498, 3000.0, std::nan("")})
    EXPECT_THROW(noise_width(NoiseLaw::split, lambda), UsageError) << lambda;
  EXPECT_EQ(noise_level_text(split_settings(0.5 * std::sqrt(3))), "λ = 0.86667 (W = 442)");
}

TEST(NoiseLaws, InputsAreThoseOfTheLeaves) {
  const std::vector<std::uint8_t> pixels = {0, 1, 127, 128, 200, 254, 255};
  for (const std::uint32_t width : {255u, 300u}) {
    NoiseSpec noise;
    noise.law = NoiseLaw::split;
    noise.width = width;
    noise.seed = 0x123456789abcdefu;
    std::vector<float> rows(width * pixels.size());
    noisy_inputs(noise, Purpose::estimate, 9, pixels, 0, rows, 2);
    for (std::uint32_t j = 0; j < width; ++j)
      for (std::uint32_t p = 0; p < pixels.size(); ++p)
        ASSERT_EQ(rows[j * pixels.size() + p],
                  device::split_input(device::split_code(
                      pixels[p], device::split_offset(noise.seed, p, width), j, width)));
    EXPECT_THROW(noisy_inputs(noise, Purpose::estimate, 9, pixels, 1, rows), UsageError);
  }
  for (const std::uint32_t width : {2u, 256u, 65536u})
    for (const bool clamp : {true, false}) {
      NoiseSpec noise;
      noise.law = NoiseLaw::uniform;
      noise.width = width;
      noise.clamp = clamp;
      std::vector<float> rows(37 * pixels.size());
      noisy_inputs(noise, Purpose::select, 9, pixels, 5, rows, 1);
      for (std::uint32_t n = 0; n < 37; ++n)
        for (std::uint32_t p = 0; p < pixels.size(); ++p) {
          const int drawn = device::uniform_noise_at(std::countr_zero(width), 0, 0, 9, 5 + n, p);
          ASSERT_GE(drawn, -static_cast<int>(width / 2));
          ASSERT_LT(drawn, static_cast<int>(width / 2));
          const float x = rows[n * pixels.size() + p];
          ASSERT_EQ(x, device::lattice_input(device::lattice_pixel(pixels[p], drawn, clamp)));
          ASSERT_LE(std::abs(x), largest_input(noise));
        }
    }
  NoiseSpec none;
  none.law = NoiseLaw::split;
  std::vector<float> row(pixels.size());
  EXPECT_THROW(noisy_inputs(none, Purpose::select, 0, pixels, 0, row), UsageError);
  none.law = NoiseLaw::uniform;
  none.width = 255;
  EXPECT_THROW(noisy_inputs(none, Purpose::select, 0, pixels, 0, row), UsageError);
}

/// Every image of side × side pairs of pixels, from `first` on.
Dataset pairs(std::uint8_t first, std::uint8_t side) {
  Dataset data;
  data.name = "pairs";
  data.shape = {1, 1, 2};
  data.classes = 3;
  for (int x = 0; x < side; ++x)
    for (int y = 0; y < side; ++y) {
      data.pixels.push_back(static_cast<std::uint8_t>(first + x));
      data.pixels.push_back(static_cast<std::uint8_t>(first + y));
      data.labels.push_back(0);
    }
  return data;
}

std::vector<Certificate> certified(BackendModel& model, const Dataset& data,
                                   const CertifySettings& settings) {
  std::vector<std::uint32_t> all(data.size());
  std::iota(all.begin(), all.end(), 0u);
  std::vector<Certificate> out(data.size());
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [&](const Certificate& c) { out.at(c.image) = c; };
  certify(model, data, all, settings, {}, callbacks);
  return out;
}

/// Nothing about it is smooth: a hash of what it sees, biased, sometimes without an answer.
int hashed(std::span<const float> input, std::uint64_t key, std::uint32_t bias) {
  std::uint64_t h = key;
  for (const float x : input) {
    h = h * 1021 + static_cast<std::uint64_t>(std::lround(x * 1020));
    for (int round = 0; round < 3; ++round) h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9u;
  }
  if ((h >> 40 & 31u) == 0) return -1;
  return (h >> 16 & 0xFFu) < bias ? 1 : static_cast<int>((h >> 50) % 3);
}

// The proof by exhaustion: all images of a grid, all pairs of them. Whatever the classifier, no
// image within the radius of another is answered otherwise; somewhere the next unit is.
TEST(SplitCampaign, NoImageOfAGridContradictsAnother) {
  constexpr int kSide = 14;
  const Dataset data = pairs(117, kSide);
  std::uint64_t within = 0, tight = 0;
  for (std::uint64_t trial = 0; trial < 12; ++trial) {
    const std::uint32_t bias = static_cast<std::uint32_t>(trial % 4) * 6;
    test::FakeModel model({1, 1, 2}, 3, [&](std::span<const float> input) {
      return hashed(input, trial * 7919 + 1, bias);
    });
    const auto settings = split_settings(0.5 + 0.05 * static_cast<double>(trial % 3), trial);
    const auto found = certified(model, data, settings);
    for (std::uint32_t i = 0; i < data.size(); ++i) {
      const auto units = std::lround(found[i].radius * 255);
      EXPECT_LE(static_cast<long double>(found[i].radius) * 255, units);
      ASSERT_GE(found[i].prediction, 0);
      for (std::uint32_t j = 0; j < data.size(); ++j) {
        const auto a = data.image(i), b = data.image(j);
        const long distance = std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]);
        if (distance == units + 1 && found[j].prediction != found[i].prediction) ++tight;
        if (distance > units) continue;
        ++within;
        ASSERT_EQ(found[i].prediction, found[j].prediction) << trial << ": " << i << " and " << j;
      }
    }
  }
  EXPECT_GT(within, 10'000u);
  EXPECT_GT(tight, 10u) << "a radius one unit larger would have been found out";
}

// The same for a network on the CPU engine, whose answers reach to the edges of the range.
TEST(SplitCampaign, NoImageOfAGridContradictsAnotherForANetwork) {
  Network network = test::toy_network(3);
  test::CountingBackend backend;
  const auto model = backend.load(network);
  Dataset data = test::toy_dataset(network, 1);
  // One image and all that differ from it in two pixels.
  const std::vector<std::uint8_t> base = data.pixels;
  constexpr int kSide = 24;
  data.pixels.clear();
  data.labels.clear();
  for (int x = 0; x < kSide; ++x)
    for (int y = 0; y < kSide; ++y) {
      auto image = base;
      image[5] = static_cast<std::uint8_t>(x * 11);
      image[10] = static_cast<std::uint8_t>(255 - y * 11);
      data.pixels.insert(data.pixels.end(), image.begin(), image.end());
      data.labels.push_back(0);
    }
  data.sha256.clear();
  const auto found = certified(*model, data, split_settings(0.5, 7));
  std::uint64_t within = 0;
  for (std::uint32_t i = 0; i < data.size(); ++i)
    for (std::uint32_t j = 0; j < data.size(); ++j) {
      const auto a = data.image(i), b = data.image(j);
      const long distance = std::abs(a[5] - b[5]) + std::abs(a[10] - b[10]);
      if (distance > std::lround(found[i].radius * 255)) continue;
      ++within;
      ASSERT_EQ(found[i].prediction, found[j].prediction);
    }
  EXPECT_GT(within, data.size());
}

// One pixel against a threshold of ½: g is known in closed form, and so is each radius.
TEST(UniformNoise, CertifiesNoMoreThanAThresholdAllows) {
  constexpr int kLevels = 80;
  Dataset data;
  data.name = "levels";
  data.shape = {1, 1, 1};
  data.classes = 2;
  for (int x = 0; x < kLevels; ++x) {
    data.pixels.push_back(static_cast<std::uint8_t>(100 + x));
    data.labels.push_back(0);
  }
  test::FakeModel model(
      {1, 1, 1}, 2, [](std::span<const float> input) { return input[0] > 128.5f / 255 ? 1 : 0; });
  CertifySettings settings = uniform_settings(0.5);
  settings.alpha = 1e-6;
  settings.n = 4000;
  const auto found = certified(model, data, settings);
  int certified_images = 0;
  for (int x = 100; x < 100 + kLevels; ++x) {
    const Certificate& c = found[static_cast<std::size_t>(x - 100)];
    if (c.radius == 0) continue;
    ++certified_images;
    // x + u > 128 for u = −128 … 127: P(1) = (x − 1)/256, so that g changes between 129 and 130.
    const int truth = x > 129 ? 1 : 0;
    EXPECT_EQ(c.prediction, truth) << x;
    const double distance = truth == 1 ? x - 129 : 130 - x;
    EXPECT_LE(c.radius * 255, distance) << x;
    EXPECT_GT(c.radius * 255, distance - 25) << x;
  }
  EXPECT_GT(certified_images, 30);
  settings.p_b = SecondBound::counted;
  const auto counted = certified(model, data, settings);
  for (std::size_t i = 0; i < counted.size(); ++i)
    EXPECT_LE(counted[i].radius, found[i].radius) << "two classes: the counted bound has half α";
}

TEST(UniformNoise, SequentialRunsStopAndHold) {
  const Dataset data = test::flat_data(4, {1, 1, 1}, 170, 2);
  test::FakeModel model(
      {1, 1, 1}, 2, [](std::span<const float> input) { return input[0] > 128.5f / 255 ? 1 : 0; });
  CertifySettings settings = uniform_settings(0.5);
  settings.n = 100'000;
  settings.alpha = 0.001;
  settings.sequential = true;
  settings.stopping = {StopRule::at, 0.05};
  for (const Certificate& c : certified(model, data, settings)) {
    EXPECT_EQ(c.stop, StopReason::decided);
    EXPECT_GE(c.radius, 0.05);
    EXPECT_LE(c.radius * 255, 170 - 129);
    EXPECT_LT(votes_in(c.estimation.counts, c.estimation.invalid), 10'000u);
  }
  settings.stopping.target = 1;  // λ is the ceiling, and cannot be reached
  EXPECT_THAT(error_of([&] { validate(settings); }), HasSubstr("out of reach"));
}

class L1Campaign : public testing::Test {
 protected:
  std::unique_ptr<ResultsStore> open(const std::string& name) {
    return ResultsStore::open(folder_.path(name), Access::read_write);
  }
  CertificationRequest request(const std::vector<std::uint32_t>& indices,
                               const CertifySettings& settings) {
    return {network_, "toy", data_, settings, indices, {}};
  }
  TemporaryFolder folder_;
  Network network_ = test::toy_network();
  Dataset data_ = test::toy_dataset(network_);
  test::CountingBackend backend_;
  std::unique_ptr<BackendModel> model_ = backend_.load(network_);
};

TEST_F(L1Campaign, CountsOfSplittingNoise) {
  const auto found = certified(*model_, data_, split_settings(0.5, 1));
  struct Golden {
    std::size_t image;
    std::vector<std::uint64_t> counts;
    std::uint64_t units;
  };
  for (const Golden& golden : {Golden{0, {255, 0, 0}, 127}, Golden{9, {236, 0, 19}, 108},
                               Golden{14, {205, 0, 50}, 77}, Golden{36, {230, 0, 25}, 102}}) {
    const Certificate& c = found[golden.image];
    EXPECT_EQ(c.estimation.counts, golden.counts);
    EXPECT_EQ(c.estimation.invalid, 0u);
    EXPECT_EQ(c.selection.counts, std::vector<std::uint64_t>(3, 0));
    EXPECT_EQ(c.selected, 0);
    EXPECT_EQ(c.prediction, 0);
    EXPECT_EQ(c.radius, split_certificate(golden.counts, 0, 255).radius);
    EXPECT_EQ(std::lround(c.radius * 255), static_cast<long>(golden.units));
    EXPECT_EQ(c.p_lower, static_cast<double>(golden.counts[0]) / 255);
  }
}

TEST_F(L1Campaign, AStoreGoesOnWithWhatItHasWhateverTheCut) {
  const CertifySettings settings = split_settings(1, 3);
  auto whole = open("whole.db");
  certify_into_store(*whole, *model_, request({0, 3, 8}, settings));
  auto store = open("a.db");
  const auto run =
      store->find_or_create_run(make_run_settings(network_, "toy", *model_, data_, settings));
  std::uint64_t held = 0;
  for (const auto& [first, last] : {std::pair<std::uint64_t, std::uint64_t>{7, 100}, {300, 301}}) {
    ChunkCounts chunk;
    chunk.image = 3;
    chunk.first = first;
    chunk.last = last;
    model_
        ->count_votes(vote_settings(settings, data_.shape),
                      {{3, data_.image(3).data(), Purpose::estimate, first, last}},
                      [&](const VoteResult& r) {
                        chunk.counts = {r.counts, r.invalid};
                      })
        ->wait();
    store->add_chunk(run.id, chunk);
    held += last - first;
  }
  backend_.reset();
  const auto result = certify_into_store(*store, *model_, request({0, 3, 8}, settings));
  EXPECT_EQ(backend_.samples(), 3 * 510u - held);
  EXPECT_EQ(result.resumed_samples, held);
  EXPECT_EQ(store->canonical_dump(), whole->canonical_dump());
  // Shards merge into the same.
  auto first = open("1.db"), second = open("2.db");
  auto part = request({0}, settings);
  part.all_indices = {0, 3, 8};
  certify_into_store(*first, *model_, part);
  part.indices = {3, 8};
  certify_into_store(*second, *model_, part);
  first.reset();
  second.reset();
  const std::vector<std::filesystem::path> parts = {folder_.path("1.db"), folder_.path("2.db")};
  merge_stores(folder_.path("merged.db"), parts);
  EXPECT_EQ(open("merged.db")->canonical_dump(), whole->canonical_dump());
}

TEST_F(L1Campaign, TheStoreKnowsNormAndKind) {
  {
    auto store = open("a.db");
    certify_into_store(*store, *model_, request({0, 1}, split_settings(0.5)));
    certify_into_store(*store, *model_, request({0, 1}, uniform_settings(0.25)));
    CertifySettings gaussian;
    gaussian.n0 = 10;
    gaussian.n = 100;
    certify_into_store(*store, *model_, request({0, 1}, gaussian));
    // At another α there is only something to derive where there is one.
    EXPECT_EQ(recompute_into_store(*store, {0.02, std::nullopt}), 4u);
    EXPECT_EQ(store->runs().size(), 5u);
    const RunInfo exact = store->runs().front();
    EXPECT_EQ(norm_of(exact.settings), Norm::l1);
    EXPECT_EQ(kind_of(exact.settings), CertificateKind::exact);
    EXPECT_THAT(run_identity(exact.settings), HasSubstr(" lambda=0.5 n0=0 n=255 alpha=0 "));
    const auto stored = store->certificates(exact.id);
    const auto again = rederive(exact, stored, {0.5, SecondBound::counted});
    for (std::size_t i = 0; i < stored.size(); ++i) EXPECT_EQ(again[i].radius, stored[i].radius);
  }
  using store::Database;
  Database db(folder_.path("a.db"), Database::Access::read_write);
  EXPECT_EQ(db.query_integer("PRAGMA user_version"), 3);
  EXPECT_EQ(db.query_text("SELECT norm || kind FROM runs WHERE id = 1"), "l1exact");
  EXPECT_EQ(db.query_text("SELECT norm || kind FROM runs WHERE id = 2"), "l1probabilistic");
  EXPECT_EQ(db.query_text("SELECT norm || kind FROM runs WHERE id = 3"), "l2probabilistic");
  EXPECT_EQ(db.query_integer("SELECT samples FROM certificates WHERE run = 1 AND image = 0"), 255);
  db.execute("UPDATE runs SET norm = 'l2' WHERE id = 1");
  db.execute("UPDATE certificates SET radius = radius + 0.0039215 WHERE run = 2 AND image = 0");
  std::vector<std::string> faults;
  const auto reread = ResultsStore::open(folder_.path("a.db"), Access::read_only,
                                         [&](const std::string& line) { faults.push_back(line); });
  EXPECT_EQ(reread->runs().size(), 4u);
  ASSERT_EQ(reread->certificates(2).size(), 1u);
  EXPECT_THAT(faults, testing::Contains(HasSubstr("norm is 'l2'")));
  EXPECT_THAT(faults, testing::Contains(HasSubstr("its counts say")));
}

TEST_F(L1Campaign, AChangedVoteOfAnExactRunIsFound) {
  {
    auto store = open("a.db");
    certify_into_store(*store, *model_, request({0, 1}, split_settings(0.5)));
  }
  store::Database(folder_.path("a.db"), store::Database::Access::read_write)
      .execute(
          "UPDATE certificates SET radius = 0.5, estimation_counts = '[255,0,0]' WHERE image = 0");
  std::vector<std::string> faults;
  const auto store = ResultsStore::open(folder_.path("a.db"), Access::read_only,
                                        [&](const std::string& line) { faults.push_back(line); });
  EXPECT_EQ(store->certificates(1).size(), 1u);
  EXPECT_EQ(faults.size(), 1u);
}

TEST_F(L1Campaign, SettingsThatMakeNoSense) {
  const auto refused = [&](auto change) {
    CertifySettings settings = split_settings(1);
    change(settings);
    return error_of([&] { validate(settings); });
  };
  EXPECT_EQ(refused([](CertifySettings&) {}), "");
  EXPECT_THAT(refused([](CertifySettings& s) { s.n = 509; }), HasSubstr("n = 510"));
  EXPECT_THAT(refused([](CertifySettings& s) { s.n0 = 10; }), HasSubstr("n0 = 0"));
  EXPECT_THAT(refused([](CertifySettings& s) { s.alpha = 0.001; }), HasSubstr("alpha = 0"));
  EXPECT_THAT(refused([](CertifySettings& s) { s.clamp = false; }), HasSubstr("nothing to clamp"));
  EXPECT_THAT(refused([](CertifySettings& s) { s.sigma = 0.4; }), HasSubstr("half the range"));
  EXPECT_THAT(refused([](CertifySettings& s) { s.sequential = true; }), HasSubstr("to stop"));
  CertifySettings uniform = uniform_settings(0.5);
  uniform.sigma = 0.5;
  EXPECT_THAT(error_of([&] { validate(uniform); }), HasSubstr("0.50196"));
  EXPECT_THAT(error_of([&] {
                predict(*model_, data_, std::vector<std::uint32_t>{0}, split_settings(1), {}, {});
              }),
              HasSubstr("no"));
}

}  // namespace
}  // namespace smoothcert
