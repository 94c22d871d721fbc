// Shards and what becomes of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "smoothcert/error.hpp"
#include "smoothcert/merge.hpp"
#include "smoothcert/subsets.hpp"
#include "store/index_set.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::sample_certificate;
using test::sample_settings;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using Access = ResultsStore::Access;

std::vector<std::uint32_t> iota(std::uint32_t count) {
  std::vector<std::uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0u);
  return indices;
}

// A store with one run of `settings` that is meant to hold `expected` images and holds `images`.
std::filesystem::path make_store(const std::filesystem::path& file, const RunSettings& settings,
                                 const std::vector<std::uint32_t>& images, std::uint32_t expected) {
  auto store = ResultsStore::open(file, Access::read_write);
  const RunInfo run = store->find_or_create_run(settings);
  for (std::uint32_t i : images) store->add_certificate(run.id, sample_certificate(i, i * 0.5));
  store->put_document(store::subset_document(run.key), store::index_set_text(iota(expected)));
  return file;
}

std::string dump(const std::filesystem::path& file) {
  return ResultsStore::open(file, Access::read_only)->canonical_dump();
}

TEST(Shards, PartitionTheImages) {
  EXPECT_THAT(shard_indices(iota(7), parse_shard("1/3")), ElementsAre(0, 3, 6));
  EXPECT_THAT(shard_indices(iota(7), parse_shard("3/3")), ElementsAre(2, 5));
  EXPECT_THAT(shard_indices(iota(1), parse_shard("2/2")), ElementsAre());
  for (const char* bad :
       {"", "1", "0/3", "4/3", "1/0", "-1/3", "1/3x", "a/b", "1/", "/3", "1//3"}) {
    EXPECT_THAT(error_of([&] { parse_shard(bad); }), HasSubstr("a shard is I/N")) << bad;
  }
}

TEST(IndexSets, AreShortTextAndReadBack) {
  const std::vector<std::vector<std::uint32_t>> sets = {
      {}, {5}, {0, 1, 2, 3}, {0, 50, 100}, {1, 2, 4, 8, 16, 17, 18}, {3, 9}};
  for (const auto& set : sets) {
    EXPECT_EQ(store::parse_index_set(store::index_set_text(set), "here"), set);
  }
  EXPECT_EQ(store::index_set_text(iota(10000)), "[[0,1,10000]]");
  EXPECT_THAT(store::index_union({4, 2}, {2, 9}), ElementsAre(2, 4, 9));
  for (const char* bad :
       {"", "{}", "[1]", "[[1,2]]", "[[0,1,-1]]", "[[0,1,99999999999]]", "[[0,1"}) {
    EXPECT_THAT(error_of([&] { store::parse_index_set(bad, "here"); }), HasSubstr("here: damaged"));
  }
}

TEST(MergeStores, ShardsGiveTheWholeStore) {
  TemporaryFolder folder;
  const RunSettings settings = sample_settings();
  make_store(folder.path("whole.db"), settings, iota(30), 30);
  std::vector<std::filesystem::path> parts;
  for (const char* shard : {"1/4", "2/4", "3/4", "4/4"}) {
    parts.push_back(make_store(folder.path(std::string("part") + shard[0]), settings,
                               shard_indices(iota(30), parse_shard(shard)), 30));
  }
  const MergeReport report = merge_stores(folder.path("merged.db"), parts);
  EXPECT_EQ(report.runs, 1u);
  EXPECT_EQ(report.certificates, 30u);
  EXPECT_EQ(report.missing_images, 0u);
  EXPECT_EQ(dump(folder.path("merged.db")), dump(folder.path("whole.db")));
  EXPECT_THAT(error_of([&] { merge_stores(folder.path("merged.db"), parts); }),
              HasSubstr("exists"));
}

TEST(MergeStores, RefusesGapsUnlessAsked) {
  TemporaryFolder folder;
  const auto a = make_store(folder.path("a.db"), sample_settings(), {0, 1, 2}, 10);
  const auto b = make_store(folder.path("b.db"), sample_settings(), {2, 4, 5, 6, 7, 8, 9}, 10);
  const std::vector<std::filesystem::path> both = {a, b};
  EXPECT_THAT(
      error_of([&] { merge_stores(folder.path("out.db"), both, {.allow_overlaps = true}); }),
      HasSubstr("1 image of 'model' at sigma 0.5: in none of the stores, the first is image 3"));
  EXPECT_FALSE(std::filesystem::exists(folder.path("out.db")));
  EXPECT_FALSE(std::filesystem::exists(folder.path("out.db.partial")));
  const MergeReport report =
      merge_stores(folder.path("out.db"), both, {.allow_gaps = true, .allow_overlaps = true});
  EXPECT_EQ(report.missing_images, 1u);
  EXPECT_EQ(report.duplicates, 1u);
  EXPECT_EQ(report.certificates, 9u);
}

TEST(MergeStores, RefusesOverlapsUnlessAsked) {
  TemporaryFolder folder;
  const auto a = make_store(folder.path("a.db"), sample_settings(), {0, 1}, 3);
  const auto b = make_store(folder.path("b.db"), sample_settings(), {1, 2}, 3);
  const std::vector<std::filesystem::path> both = {a, b};
  EXPECT_THAT(error_of([&] { merge_stores(folder.path("out.db"), both); }),
              HasSubstr("holds image 1 of 'model' at sigma 0.5, and so does a store before it"));
  EXPECT_FALSE(std::filesystem::exists(folder.path("out.db")));
  EXPECT_EQ(merge_stores(folder.path("out.db"), both, {.allow_overlaps = true}).certificates, 3u);
}

TEST(MergeStores, RefusesContradictions) {
  TemporaryFolder folder;
  const auto a = make_store(folder.path("a.db"), sample_settings(), {0, 1}, 2);
  {
    auto store = ResultsStore::open(folder.path("b.db"), Access::read_write);
    const RunInfo run = store->find_or_create_run(sample_settings());
    const Certificate own = sample_certificate(1);
    StageCounts estimation = own.estimation;
    std::swap(estimation.counts[0], estimation.counts[1]);
    store->add_certificate(
        run.id, make_certificate(1, own.label, own.selection, estimation,
                                 bound_settings(run.settings.certify, run.settings.shape)));
  }
  const std::vector<std::filesystem::path> both = {a, folder.path("b.db")};
  EXPECT_THAT(error_of([&] { merge_stores(folder.path("out.db"), both, {.allow_gaps = true}); }),
              HasSubstr("b.db' holds image 1 of 'model' with another result"));
  EXPECT_FALSE(std::filesystem::exists(folder.path("out.db")));
}

TEST(MergeStores, RefusesMixedSettingsNamingTheDifference) {
  TemporaryFolder folder;
  RunSettings other = sample_settings();
  other.certify.n = 2000;
  const auto a = make_store(folder.path("a.db"), sample_settings(), {0}, 2);
  {
    auto store = ResultsStore::open(folder.path("b.db"), Access::read_write);
    store->find_or_create_run(other);
  }
  const std::vector<std::filesystem::path> both = {a, folder.path("b.db")};
  const auto message = error_of([&] { merge_stores(folder.path("out.db"), both); });
  EXPECT_THAT(message, HasSubstr("mixed settings"));
  EXPECT_THAT(message, testing::AnyOf(HasSubstr("n=1000 here, n=2000 there"),
                                      HasSubstr("n=2000 here, n=1000 there")));
  other.arithmetic = "older";
  {
    auto store = ResultsStore::open(folder.path("c.db"), Access::read_write);
    store->find_or_create_run(other);
  }
  const std::vector<std::filesystem::path> old = {a, folder.path("c.db")};
  EXPECT_THAT(error_of([&] { merge_stores(folder.path("out.db"), old, {.allow_gaps = true}); }),
              HasSubstr("arithmetic 'older'"));
}

TEST(MergeStores, DocumentsMustAgreeButForTimes) {
  TemporaryFolder folder;
  const auto a = make_store(folder.path("a.db"), sample_settings(), {0}, 1);
  const auto b = make_store(folder.path("b.db"), sample_settings(), {}, 1);
  const std::vector<std::filesystem::path> both = {a, b};
  const auto put = [](const std::filesystem::path& file, const char* json) {
    ResultsStore::open(file, Access::read_write)->put_document("history", json);
  };
  put(a, R"({"loss":1,"seconds":2})");
  put(b, R"({"loss":1,"seconds":3})");
  merge_stores(folder.path("out.db"), both);
  put(b, R"({"loss":2})");
  EXPECT_THAT(error_of([&] { merge_stores(folder.path("out2.db"), both); }),
              HasSubstr("document 'history' with another content"));
}

}  // namespace
}  // namespace smoothcert
