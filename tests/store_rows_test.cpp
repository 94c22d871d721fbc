// Rows of a store that do not say what their counts say: each is named, and none becomes a radius.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "smoothcert/results.hpp"
#include "smoothcert/stopping.hpp"
#include "smoothcert/version.hpp"
#include "store/codec.hpp"
#include "store/sqlite.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::sample_certificate;
using test::sample_chunk;
using test::sample_settings;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Access = ResultsStore::Access;

constexpr std::uint32_t kImages = 6;

class StoreRows : public testing::Test {
 protected:
  void SetUp() override {
    auto store = ResultsStore::open(file(), Access::read_write);
    const auto run = store->find_or_create_run(sample_settings()).id;
    for (std::uint32_t i = 0; i < kImages; ++i) store->add_certificate(run, sample_certificate(i));
    store->add_chunk(run, sample_chunk(9, 0, 500));
  }
  std::filesystem::path file() const { return folder_.path("a.db"); }
  void change(const std::string& sql) const {
    store::Database(file(), store::Database::Access::read_write).execute(sql);
  }
  /// What reading everything tells, and how many certificates and chunks are left.
  struct Read {
    std::vector<std::string> faults;
    std::size_t runs = 0, certificates = 0, chunks = 0;
  };
  Read read() const {
    Read result;
    const auto store = ResultsStore::open(
        file(), Access::read_only, [&](const std::string& line) { result.faults.push_back(line); });
    for (const RunInfo& run : store->runs()) {
      ++result.runs;
      result.certificates += store->certificates(run.id).size();
      result.certificates += store->certificates(run.id).size();  // a fault is told once
      result.chunks += store->chunks(run.id).size();
    }
    result.certificates /= 2;
    return result;
  }

  TemporaryFolder folder_;
};

TEST_F(StoreRows, AStoreOfOursIsInOrder) {
  const Read all = read();
  EXPECT_THAT(all.faults, IsEmpty());
  EXPECT_EQ(all.certificates, kImages);
  EXPECT_EQ(all.chunks, 1u);
}

TEST_F(StoreRows, AChangedCertificateIsNamedAndLeftOut) {
  struct Case {
    const char* set;
    const char* fault;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"radius = 9.9", "radius is 9.9, its counts say"},
           {"radius = radius * 1.00001", "its counts say"},
           {"radius = 'abc'", "radius is 'abc', not a number"},
           {"radius = 9e999", "radius is 'Inf', not a number"},
           {"radius = -0.1", "out of range"},
           {"p_lower = 0.99999", "p_lower is 0.99999, its counts say"},
           {"prediction = (prediction + 1) % 3", "its counts say"},
           {"prediction = -1", "prediction is -1, its counts say"},
           {"prediction = 7", "prediction is 7, outside -1 … 2"},
           {"selected = (selected + 1) % 3", "its selection counts say"},
           {"label = (label + 1) % 3", "checksum"},
           {"label = 3", "label 3 is none of the run's 3 classes"},
           {"label = -1", "label is -1, outside"},
           {"estimation_counts = '[100000000,0,0]', estimation_invalid = 0",
            "one of its estimation counts is larger"},
           {"estimation_counts = '[1000,0,0]', estimation_invalid = 0", "checksum"},
           {"estimation_counts = '[18446744073709551615,1001,0]', estimation_invalid = 0",
            "one of its estimation counts is larger"},
           {"estimation_counts = '[1000,0]', estimation_invalid = 0", "one count for each class"},
           {"estimation_counts = 'many'", "is no list of counts"},
           {"estimation_counts = 17", "is no list of counts"},
           {"estimation_invalid = -1", "estimation_invalid is -1"},
           {"selection_counts = '[0,0,100]', selection_invalid = 0", "checksum"},
           {"selection_counts = '[0,0,99]', selection_invalid = 0", "add up to 99"},
           {"image = 4294967796", "image is 4294967796, outside"},
           {"image = 500", "checksum"},
           {"stop = 'target'", "stopped early in a run whose n was fixed"},
           {"stop = 'tired'", "unknown reason to stop 'tired'"},
           {"samples = 5", "samples is 5, its counts add up to 1000"},
           {"seconds = 'soon'", "seconds is 'soon', not a number"},
           {"checksum = ''", "checksum"}}) {
    TearDown();
    std::filesystem::remove(file());
    SetUp();
    change(std::string("UPDATE certificates SET ") + c.set + " WHERE image = 3");
    const Read all = read();
    ASSERT_EQ(all.faults.size(), 1u) << c.set;
    EXPECT_THAT(all.faults[0], HasSubstr(c.fault)) << c.set;
    EXPECT_THAT(all.faults[0], HasSubstr("run 1, certificate of image ")) << c.set;
    EXPECT_EQ(all.certificates, kImages - 1) << c.set;
    // Whoever did not ask to be told is not given fewer rows in silence.
    const auto store = ResultsStore::open(file(), Access::read_only);
    EXPECT_THAT(error_of([&] { (void)store->certificates(1); }),
                testing::AllOf(HasSubstr(c.fault), HasSubstr("smoothcert verify")))
        << c.set;
  }
}

TEST_F(StoreRows, AChangedRunTakesItsRowsAlong) {
  for (const char* set :
       {"sigma = 1.0",        "alpha = 0.05",       "n = 100000",    "n0 = 1",
        "seed = 3",           "noise = 'gaussian'", "clamp = 0",     "mode = 'fast'",
        "precision = 'fp16'", "p_b = 'counted'",    "key = 'x'",     "rule = 'within'",
        "target = 'x'",       "pixels = 'rounded'", "norm = 'l1'",   "kind = 'exact'",
        "soundness = 'real'", "noise = 'laplace'",  "sigma = 'big'", "stopped_at = 'never'"}) {
    std::filesystem::remove(file());
    SetUp();
    change(std::string("UPDATE runs SET ") + set);
    const Read all = read();
    ASSERT_EQ(all.faults.size(), 1u) << set;
    EXPECT_THAT(all.faults[0], testing::StartsWith("run 1: ")) << set;
    EXPECT_EQ(all.runs, 0u) << set;
  }
  for (const char* sql : {"UPDATE datasets SET classes = 4", "UPDATE datasets SET width = 7"}) {
    std::filesystem::remove(file());
    SetUp();
    change(sql);
    EXPECT_EQ(read().runs, 0u) << sql;
  }
}

TEST_F(StoreRows, AGaussianRunRelabelledAsLatticeIsNotBelieved) {
  RunSettings gaussian = sample_settings();
  gaussian.certify.noise = NoiseLaw::gaussian;
  {
    auto store = ResultsStore::open(file(), Access::read_write);
    store->find_or_create_run(gaussian);
    EXPECT_EQ(soundness_of(store->runs()[1].settings), Soundness::real_arithmetic);
  }
  change("UPDATE runs SET noise = 'lattice', soundness = 'executed' WHERE id = 2");
  EXPECT_THAT(read().faults, ElementsAre(HasSubstr("run 2: its key is not that of its settings")));
}

TEST_F(StoreRows, ChangedPartialCountsAreNotContinued) {
  for (const char* set :
       {"counts = '[500,0,0]', invalid = 0", "counts = '[1,0,0]'", "stage = 7", "last = 400",
        "last = 5000", "first = -3", "checksum = 'x'", "counts = '[18446744073709551615,500,0]'"}) {
    std::filesystem::remove(file());
    SetUp();
    change(std::string("UPDATE chunks SET ") + set);
    const Read all = read();
    ASSERT_EQ(all.faults.size(), 1u) << set;
    EXPECT_THAT(all.faults[0], HasSubstr("counts of image 9")) << set;
    EXPECT_EQ(all.chunks, 0u) << set;
  }
}

TEST_F(StoreRows, WhatFailsCanBeTakenOutAndDrawnAgain) {
  change("UPDATE certificates SET radius = 2 WHERE image = 1");
  change("UPDATE chunks SET last = 400");
  {
    auto store = ResultsStore::open(file(), Access::read_write, [](const auto&) {});
    EXPECT_EQ(store->remove_faulty_rows(), 2u);
    EXPECT_EQ(store->certificates(1).size(), kImages - 1);
    store->add_certificate(1, sample_certificate(1));
    store->flush();
  }
  EXPECT_THAT(read().faults, IsEmpty());
  EXPECT_EQ(read().certificates, kImages);
  change("UPDATE runs SET sigma = 0.75");
  {
    auto store = ResultsStore::open(file(), Access::read_write, [](const auto&) {});
    EXPECT_EQ(store->remove_faulty_rows(), kImages + 1u);  // the run and its certificates
    EXPECT_THAT(store->runs(), IsEmpty());
  }
}

TEST_F(StoreRows, ACertificateThatContradictsItselfIsNotStored) {
  auto store = ResultsStore::open(file(), Access::read_write);
  Certificate c = sample_certificate(7);
  c.radius *= 1.001;
  EXPECT_THAT(error_of([&] { store->add_certificate(1, c); }), HasSubstr("contradicts itself"));
}

TEST_F(StoreRows, RadiiOfAnOlderFormulaAreDerivedAgain) {
  const double right = sample_certificate(1).radius;
  ASSERT_GT(right, 0);
  change("UPDATE meta SET value = 'before checksums' WHERE name = 'bound'");
  change("UPDATE certificates SET radius = radius * (1 + 2.2e-8) WHERE image = 1");
  change("UPDATE certificates SET radius = 9.9 WHERE image = 2");
  {
    std::vector<std::string> faults;
    const auto store = ResultsStore::open(file(), Access::read_only,
                                          [&](const std::string& line) { faults.push_back(line); });
    EXPECT_EQ(store->certificates(1)[1].radius, right) << "as they are read";
    EXPECT_THAT(faults, ElementsAre(HasSubstr("image 2: radius is 9.9, its counts say")));
  }
  { ResultsStore::open(file(), Access::read_write); }
  store::Database db(file(), store::Database::Access::read_only);
  EXPECT_EQ(db.query_text("SELECT value FROM meta WHERE name = 'bound'"), kBound);
  store::Statement row(db, "SELECT radius FROM certificates WHERE image = 1");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.real(0), right) << "and where they are written";
}

TEST_F(StoreRows, AnUpgradeThatWasCutShortIsReadAndFinished) {
  change("UPDATE meta SET value = 'before checksums' WHERE name = 'bound'");
  change("UPDATE certificates SET checksum = ''");
  change("UPDATE chunks SET checksum = ''");
  EXPECT_THAT(read().faults, IsEmpty());
  EXPECT_EQ(read().certificates, kImages);
  { ResultsStore::open(file(), Access::read_write); }
  EXPECT_THAT(read().faults, IsEmpty());
  store::Database db(file(), store::Database::Access::read_only);
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM certificates WHERE checksum = ''"), 0);
}

TEST_F(StoreRows, AFormulaThatIsNotKnownIsRefused) {
  change("UPDATE meta SET value = 'bound-9' WHERE name = 'bound'");
  EXPECT_THAT(error_of([&] { ResultsStore::open(file(), Access::read_only); }),
              testing::AllOf(HasSubstr("'bound-9'"), HasSubstr("newer smoothcert")));
}

TEST_F(StoreRows, RowsThatBelongNowhereAreTold) {
  change("UPDATE certificates SET run = 99 WHERE image = 3");
  EXPECT_THAT(read().faults,
              ElementsAre("table certificates: 1 rows belong to no run of the store"));
  change("DELETE FROM models");
  EXPECT_THAT(read().faults,
              testing::Contains("run 1: its model or its data set is not among the store's"));
  change("INSERT INTO disproofs VALUES(98,1,1,0.1,1,1,1,1,0.05,x'00',1,'')");
  EXPECT_THAT(read().faults,
              testing::Contains("table disproofs: 1 rows belong to no run of the store"));
}

TEST_F(StoreRows, RunsOfAnOlderArithmeticAreCheckedAlike) {
  RunSettings old = sample_settings();
  old.arithmetic = "philox-lattice-0/exact-0";
  {
    auto store = ResultsStore::open(file(), Access::read_write);
    store->add_certificate(store->find_or_create_run(old).id, sample_certificate(1));
  }
  EXPECT_THAT(read().faults, IsEmpty());
  change("UPDATE certificates SET radius = 9.9 WHERE run = 2");
  EXPECT_THAT(read().faults,
              ElementsAre(HasSubstr("run 2, certificate of image 1: radius is 9.9")));
}

TEST(Soundness, EveryGuaranteeHasItsWords) {
  EXPECT_EQ(guarantee_text(NoiseLaw::lattice, Mode::exact), "sound as executed");
  EXPECT_EQ(guarantee_text(NoiseLaw::lattice, Mode::external), "sound if rows are independent");
  EXPECT_EQ(guarantee_text(NoiseLaw::gaussian, Mode::external), "in real arithmetic only");
  EXPECT_EQ(guarantee_text(NoiseLaw::lattice, Mode::fast),
            "sound as executed; fast mode: of the classifier as its device computes it");
}

TEST(StoreCounts, OfManyClassesAreSparse) {
  std::vector<std::uint64_t> counts(1000, 0);
  EXPECT_EQ(store::counts_text(counts), "{}");
  counts[17] = 3;
  counts[404] = 997;
  EXPECT_EQ(store::counts_text(counts), R"({"17":3,"404":997})");
  EXPECT_EQ(store::parse_counts(store::counts_text(counts), 1000, "x"), counts);
  std::vector<std::uint64_t> dense(1000, 1);
  EXPECT_EQ(store::parse_counts(store::counts_text(dense), 1000, "x"), dense);
  for (const char* text : {R"({"17":3,"17":4})", R"({"404":1,"17":3})", R"({"1000":3})",
                           R"({"17":-3})", R"({"17":3,})", R"({17:3})", R"({"17"3})", R"({"":3})",
                           R"({"a":3})", R"({"17":})", "{", "}", "[", "[1,2]"})
    EXPECT_THAT(error_of([&] { store::parse_counts(text, 1000, "here"); }), HasSubstr("here: "))
        << text;
}

TEST(StoreLabels, GoTo65534) {
  TemporaryFolder folder;
  RunSettings settings = sample_settings();
  settings.classes = 65535;
  Certificate c;
  StageCounts selection, estimation;
  selection.counts.resize(65535);
  estimation.counts.resize(65535);
  selection.counts[65534] = 100;
  estimation.counts[65534] = 990;
  estimation.counts[3] = 10;
  c = make_certificate(5, 65534, selection, estimation,
                       bound_settings(settings.certify, settings.shape));
  {
    auto store = ResultsStore::open(folder.path("a.db"), Access::read_write);
    store->add_certificate(store->find_or_create_run(settings).id, c);
  }
  const auto store = ResultsStore::open(folder.path("a.db"), Access::read_only);
  const auto back = store->certificates(1);
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].label, 65534);
  EXPECT_EQ(back[0].prediction, 65534);
  EXPECT_TRUE(back[0].correct());
  EXPECT_EQ(back[0].estimation.counts, estimation.counts);
}

TEST(StoreSequential, RunsStopWhereTheirCountsSaySo) {
  TemporaryFolder folder;
  RunSettings settings = sample_settings();
  settings.certify.n = 10000;
  settings.certify.sequential = true;
  settings.certify.stopping = {StopRule::at, 0.25};
  const auto bounds = bound_settings(settings.certify, settings.shape);
  const auto at = [&](std::uint64_t votes, std::uint64_t n, StopReason reason) {
    Certificate c = make_certificate(1, 0, {{100, 0, 0}, 0}, {{votes, n - votes, 0}, 0}, bounds);
    c.stop = reason;
    return c;
  };
  auto store = ResultsStore::open(folder.path("a.db"), Access::read_write);
  const auto run = store->find_or_create_run(settings).id;
  EXPECT_NE(run_key(settings), run_key(sample_settings()));
  EXPECT_THAT(error_of([&] { store->add_certificate(run, at(480, 501, StopReason::decided)); }),
              HasSubstr("which is no checkpoint"));
  EXPECT_THAT(error_of([&] { store->add_certificate(run, at(500, 500, StopReason::futile)); }),
              HasSubstr("because of 'futile', its counts say 'decided'"));
  EXPECT_THAT(error_of([&] { store->add_certificate(run, at(350, 500, StopReason::decided)); }),
              HasSubstr("its counts say 'go on'"));
  store->add_certificate(run, at(500, 500, StopReason::decided));
  store->flush();
  const auto stored = store->certificates(run);
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].stop, StopReason::decided);
  EXPECT_GE(stored[0].radius, 0.25);
  // At another α the counts are those of a run that looked with the first one.
  const Rederivation other{.alpha = 0.05, .p_b = {}};
  const CertifySettings derived = other.of(settings.certify);
  ASSERT_TRUE(derived.stopped_at.has_value());
  EXPECT_EQ(derived.stopped_at->alpha, 0.001);
  EXPECT_EQ(Rederivation({.alpha = 0.001, .p_b = {}}).of(derived).stopped_at, std::nullopt);
  const auto again = rederive(store->runs()[0], stored, other);
  EXPECT_GT(again[0].radius, stored[0].radius);
  RunSettings derived_settings = settings;
  derived_settings.certify = derived;
  const auto second = store->find_or_create_run(derived_settings).id;
  store->add_certificate(second, again[0]);
  store->flush();
  EXPECT_EQ(store->runs()[1].settings.certify.stopped_at, derived.stopped_at);
  EXPECT_EQ(store->certificates(second).size(), 1u);
}

}  // namespace
}  // namespace smoothcert
