// Certification into a store: nothing is drawn twice, nothing finished is lost.
#include "smoothcert/campaign.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "campaign_support.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/merge.hpp"
#include "smoothcert/subsets.hpp"
#include "smoothcert/version.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::TemporaryFolder;
using testing::HasSubstr;
using Access = ResultsStore::Access;

class Campaign : public testing::Test {
 protected:
  Campaign() {
    settings_.sigma = 0.25;
    settings_.n0 = 50;
    settings_.n = 1000;
    settings_.alpha = 0.001;
    all_.resize(data_.size());
    std::iota(all_.begin(), all_.end(), 0u);
  }

  std::unique_ptr<ResultsStore> open(const std::string& name) {
    return ResultsStore::open(folder_.path(name), Access::read_write);
  }
  CertificationRequest request(const std::vector<std::uint32_t>& indices) {
    return {network_, "toy", data_, settings_, indices, {}};
  }

  TemporaryFolder folder_;
  Network network_ = test::toy_network();
  Dataset data_ = test::toy_dataset(network_);
  test::CountingBackend backend_;
  std::unique_ptr<BackendModel> model_ = backend_.load(network_);
  CertifySettings settings_;
  std::vector<std::uint32_t> all_;
};

TEST_F(Campaign, StoresWhatCertifyFinds) {
  std::vector<Certificate> direct;
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [&](const Certificate& c) { direct.push_back(c); };
  certify(*model_, data_, all_, settings_, {}, callbacks);
  auto store = open("a.db");
  const CertificationResult result = certify_into_store(*store, *model_, request(all_));
  EXPECT_EQ(result.certified_images, 40u);
  EXPECT_EQ(result.resumed_line(), "");
  EXPECT_EQ(result.run.settings.arithmetic, kArithmetic);
  EXPECT_EQ(result.run.settings.model_hash, model_hash(network_));
  EXPECT_EQ(result.run.settings.regime, "smoothing");
  EXPECT_EQ(result.run.settings.precision, "exact-f32");
  ASSERT_EQ(result.certificates.size(), direct.size());
  bool some_certified = false;
  for (std::size_t i = 0; i < direct.size(); ++i) {
    EXPECT_EQ(result.certificates[i].image, direct[i].image);
    EXPECT_EQ(result.certificates[i].radius, direct[i].radius);
    EXPECT_EQ(result.certificates[i].estimation.counts, direct[i].estimation.counts);
    some_certified |= direct[i].radius > 0;
  }
  EXPECT_TRUE(some_certified);
  EXPECT_EQ(expected_indices(*store, result.run.key), all_);
}

TEST_F(Campaign, FinishedImagesAreNotDrawnAgain) {
  auto store = open("a.db");
  certify_into_store(*store, *model_, request({0, 5, 10}));
  backend_.reset();
  std::uint64_t reported = 0, total = 0;
  CertifyCallbacks callbacks;
  callbacks.on_progress = [&](const CertifyProgress& p) {
    reported = p.images_done;
    total = p.images_total;
  };
  const auto result = certify_into_store(*store, *model_, request(all_), callbacks);
  EXPECT_EQ(backend_.samples(), 37u * 1050u);
  EXPECT_EQ(result.resumed_images, 3u);
  EXPECT_EQ(result.resumed_line(), "resumed 3 of 40 images");
  EXPECT_EQ(reported, 40u);
  EXPECT_EQ(total, 40u);
  backend_.reset();
  certify_into_store(*store, *model_, request(all_));
  EXPECT_EQ(backend_.samples(), 0u);
  auto whole = open("b.db");
  certify_into_store(*whole, *model_, request(all_));
  EXPECT_EQ(store->canonical_dump(), whole->canonical_dump());
}

TEST_F(Campaign, PartialCountsAreContinued) {
  auto whole = open("whole.db");
  certify_into_store(*whole, *model_, request({3}));
  // The first 400 estimation samples, counted as certify() would have.
  VoteSettings votes;
  votes.noise = {settings_.noise, settings_.sigma, settings_.clamp, settings_.seed,
                 make_lattice_table(settings_.sigma, 16)};
  ChunkCounts chunk;
  chunk.image = 3;
  chunk.last = 400;
  model_
      ->count_votes(votes, {{3, data_.image(3).data(), Purpose::estimate, 0, 400}},
                    [&](const VoteResult& r) {
                      chunk.counts = {r.counts, r.invalid};
                    })
      ->wait();
  auto store = open("a.db");
  const auto run =
      store->find_or_create_run(make_run_settings(network_, "toy", *model_, data_, settings_));
  store->add_chunk(run.id, chunk);
  backend_.reset();
  const auto result = certify_into_store(*store, *model_, request({3}));
  EXPECT_EQ(backend_.samples(), 650u);
  EXPECT_EQ(result.resumed_samples, 400u);
  EXPECT_THAT(result.resumed_line(), HasSubstr("400 samples"));
  EXPECT_EQ(store->canonical_dump(), whole->canonical_dump());
}

TEST_F(Campaign, AnotherAlphaIsDerivedNotDrawn) {
  auto store = open("a.db");
  certify_into_store(*store, *model_, request(all_));
  backend_.reset();
  settings_.alpha = 0.05;
  const auto result = certify_into_store(*store, *model_, request(all_));
  EXPECT_EQ(backend_.samples(), 0u);
  EXPECT_EQ(result.derived_images, 40u);
  EXPECT_THAT(result.resumed_line(), HasSubstr("derived"));
  auto drawn = open("b.db");
  const auto direct = certify_into_store(*drawn, *model_, request(all_));
  EXPECT_EQ(direct.derived_images, 0u);
  ASSERT_EQ(result.certificates.size(), direct.certificates.size());
  for (std::size_t i = 0; i < direct.certificates.size(); ++i) {
    EXPECT_EQ(result.certificates[i].radius, direct.certificates[i].radius);
    EXPECT_EQ(result.certificates[i].p_lower, direct.certificates[i].p_lower);
  }
}

TEST_F(Campaign, RecomputeAddsRunsAtAnotherAlpha) {
  auto store = open("a.db");
  certify_into_store(*store, *model_, request(all_));
  backend_.reset();
  EXPECT_EQ(recompute_into_store(*store, {.alpha = 0.05}), 40u);
  EXPECT_EQ(recompute_into_store(*store, {.alpha = 0.05}), 0u);
  EXPECT_EQ(backend_.samples(), 0u);
  ASSERT_EQ(store->runs().size(), 2u);
  const auto strict = store->certificates(1), loose = store->certificates(2);
  for (std::size_t i = 0; i < strict.size(); ++i) EXPECT_GE(loose[i].radius, strict[i].radius);
  EXPECT_EQ(expected_indices(*store, store->runs()[1].key), all_);
  RunInfo older = store->runs()[0];
  older.settings.arithmetic = "older";
  EXPECT_THAT(error_of([&] { rederive(older, strict, {.alpha = 0.05}); }),
              HasSubstr("arithmetic 'older'"));
  EXPECT_THAT(error_of([&] { rederive(store->runs()[0], strict, {.alpha = 1e-320}); }),
              HasSubstr("alpha"));
  EXPECT_THAT(error_of([&] { rederive(store->runs()[0], strict, {.alpha = 2.0}); }),
              HasSubstr("alpha"));
}

TEST_F(Campaign, AnotherSecondBoundIsDerivedNotDrawn) {
  auto store = open("a.db");
  certify_into_store(*store, *model_, request(all_));
  const std::string before = store->runs()[0].key;
  backend_.reset();
  EXPECT_EQ(recompute_into_store(*store, {.p_b = SecondBound::counted}), 40u);
  EXPECT_EQ(recompute_into_store(*store, {.p_b = SecondBound::counted}), 0u);
  EXPECT_EQ(store->runs()[0].key, before);
  ASSERT_EQ(store->runs().size(), 2u);
  EXPECT_EQ(store->runs()[1].settings.certify.p_b, SecondBound::counted);
  settings_.p_b = SecondBound::counted;
  const auto derived = certify_into_store(*store, *model_, request(all_));
  EXPECT_EQ(derived.resumed_images, 40u);
  EXPECT_EQ(backend_.samples(), 0u);
  auto drawn = open("b.db");
  const auto direct = certify_into_store(*drawn, *model_, request(all_));
  EXPECT_GT(backend_.samples(), 0u);
  ASSERT_EQ(derived.certificates.size(), direct.certificates.size());
  for (std::size_t i = 0; i < direct.certificates.size(); ++i)
    EXPECT_EQ(derived.certificates[i].radius, direct.certificates[i].radius);
  // Both at once.
  EXPECT_EQ(recompute_into_store(*drawn, {0.05, SecondBound::complement}), 40u);
  EXPECT_EQ(drawn->runs()[1].settings.certify.alpha, 0.05);
}

TEST(RadiusInNorm, IsInsideTheL2Ball) {
  for (const double r : {0.0, 1e-300, 0.3, 1.5, 3.7}) {
    EXPECT_EQ(radius_in_norm(r, Norm::l2, 784), r);
    EXPECT_EQ(radius_in_norm(r, Norm::l1, 784), r);
    const double linf = radius_in_norm(r, Norm::linf, 784);
    EXPECT_LE(28.0L * linf, static_cast<long double>(r));
    EXPECT_GE(28.0L * linf, r * (1 - 1e-15L));
    // √3072 is not a number of the machine.
    const long double odd = radius_in_norm(r, Norm::linf, 3072);
    EXPECT_LE(odd * odd * 3072, static_cast<long double>(r) * r);
  }
}

TEST_F(Campaign, FailureInACallbackStopsAndIsThrownAndKeepsTheRest) {
  auto store = open("a.db");
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [](const Certificate& c) {
    if (c.image == 7) throw Error("no room");
  };
  EXPECT_EQ(error_of([&] { certify_into_store(*store, *model_, request(all_), callbacks); }),
            "no room");
  EXPECT_GE(store->certificates(1).size(), 1u);
  certify_into_store(*store, *model_, request(all_));
  auto whole = open("b.db");
  certify_into_store(*whole, *model_, request(all_));
  EXPECT_EQ(store->canonical_dump(), whole->canonical_dump());
}

TEST_F(Campaign, StopIsInterruptedAndContinues) {
  settings_.n = 200000;
  auto store = open("a.db");
  std::stop_source source;
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [&](const Certificate&) { source.request_stop(); };
  EXPECT_THROW(certify_into_store(*store, *model_, request(all_), callbacks, source.get_token()),
               Interrupted);
  const std::size_t held = store->certificates(1).size();
  EXPECT_GE(held, 1u);
  const auto result = certify_into_store(*store, *model_, request(all_));
  EXPECT_EQ(result.resumed_images, held);
  EXPECT_EQ(result.certificates.size(), 40u);
}

TEST_F(Campaign, RefusesImagesThatAreNotThere) {
  auto store = open("a.db");
  EXPECT_THAT(error_of([&] { certify_into_store(*store, *model_, request({40})); }),
              HasSubstr("image 40 was asked for, but toy test has 40"));
  EXPECT_TRUE(store->runs().empty());
}

TEST_F(Campaign, ShardsMergeIntoTheWhole) {
  auto whole = open("whole.db");
  certify_into_store(*whole, *model_, request(all_));
  std::vector<std::filesystem::path> parts;
  for (const char* text : {"1/3", "2/3", "3/3"}) {
    const std::string name = std::string("part") + text[0];
    auto store = open(name);
    certify_into_store(
        *store, *model_,
        {network_, "toy", data_, settings_, shard_indices(all_, parse_shard(text)), all_});
    parts.push_back(folder_.path(name));
  }
  EXPECT_THAT(error_of([&] { merge_stores(folder_.path("two.db"), std::span(parts).first(2)); }),
              HasSubstr("13 images of 'toy'"));
  merge_stores(folder_.path("merged.db"), parts);
  EXPECT_EQ(open("merged.db")->canonical_dump(), whole->canonical_dump());
}

}  // namespace
}  // namespace smoothcert
