// What the results store keeps, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <csignal>
#include <limits>
#include <thread>

#include "smoothcert/error.hpp"
#include "smoothcert/results.hpp"
#include "store/schema.hpp"
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
using Access = ResultsStore::Access;

constexpr auto rw = Access::read_write;

void expect_same(const Certificate& a, const Certificate& b) {
  EXPECT_EQ(a.image, b.image);
  EXPECT_EQ(a.label, b.label);
  EXPECT_EQ(a.selected, b.selected);
  EXPECT_EQ(a.prediction, b.prediction);
  EXPECT_EQ(std::bit_cast<std::uint64_t>(a.radius), std::bit_cast<std::uint64_t>(b.radius));
  EXPECT_EQ(std::bit_cast<std::uint64_t>(a.p_lower), std::bit_cast<std::uint64_t>(b.p_lower));
  EXPECT_EQ(a.selection.counts, b.selection.counts);
  EXPECT_EQ(a.selection.invalid, b.selection.invalid);
  EXPECT_EQ(a.estimation.counts, b.estimation.counts);
  EXPECT_EQ(a.estimation.invalid, b.estimation.invalid);
  EXPECT_EQ(a.seconds, b.seconds);
}

TEST(ResultsStore, KeepsRunsCertificatesAndChunksBitForBit) {
  TemporaryFolder folder;
  const RunSettings settings = sample_settings();
  const Certificate odd = sample_certificate(3);
  {
    auto store = ResultsStore::open(folder.path("a.db"), rw);
    const RunInfo run = store->find_or_create_run(settings);
    store->add_certificate(run.id, odd);
    store->add_certificate(run.id, sample_certificate(2));
    store->add_chunk(run.id, sample_chunk(9, 500, 1000));
    store->add_chunk(run.id, sample_chunk(9, 0, 500));
  }
  auto store = ResultsStore::open(folder.path("a.db"), Access::read_only);
  ASSERT_EQ(store->runs().size(), 1u);
  const RunInfo run = store->runs()[0];
  EXPECT_EQ(run.key, run_key(settings));
  EXPECT_EQ(run_identity(run.settings), run_identity(settings));
  EXPECT_EQ(run.settings.certify.seed, 0xfedcba9876543210u);
  EXPECT_EQ(run.settings.model_name, "model");
  EXPECT_EQ(run.settings.backend, "cpu test");
  EXPECT_EQ(run.settings.training_sigma, 0.5);
  EXPECT_THAT(run.started, testing::MatchesRegex("20..-..-..T..:..:..Z"));
  const auto certificates = store->certificates(run.id);
  ASSERT_EQ(certificates.size(), 2u);
  expect_same(certificates[0], sample_certificate(2));
  expect_same(certificates[1], odd);
  const auto chunks = store->chunks(run.id);
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].first, 0u);
  EXPECT_EQ(chunks[1].last, 1000u);
  EXPECT_EQ(chunks[1].counts.counts, sample_chunk(9, 500, 1000).counts.counts);
  EXPECT_EQ(chunks[1].counts.invalid, 1u);
}

TEST(ResultsStore, EqualSettingsAreOneRun) {
  TemporaryFolder folder;
  auto store = ResultsStore::open(folder.path("a.db"), rw);
  RunSettings settings = sample_settings();
  const auto id = store->find_or_create_run(settings).id;
  settings.backend = "cuda";  // exact mode: equal counts on every device
  settings.program_version = "9.9.9";
  EXPECT_EQ(store->find_or_create_run(settings).id, id);
  for (auto change : std::vector<std::function<void(RunSettings&)>>{
           [](RunSettings& s) { s.model_hash = "x"; }, [](RunSettings& s) { s.dataset_hash = "x"; },
           [](RunSettings& s) { s.certify.sigma = 0.25; }, [](RunSettings& s) { s.certify.n0++; },
           [](RunSettings& s) { s.certify.n++; }, [](RunSettings& s) { s.certify.alpha = 0.05; },
           [](RunSettings& s) { s.certify.seed++; },
           [](RunSettings& s) { s.certify.clamp = !s.certify.clamp; },
           [](RunSettings& s) { s.certify.noise = NoiseLaw::gaussian; },
           [](RunSettings& s) { s.certify.mode = Mode::fast; },
           [](RunSettings& s) { s.precision = "x"; }, [](RunSettings& s) { s.arithmetic = "x"; }}) {
    RunSettings other = settings;
    change(other);
    EXPECT_NE(store->find_or_create_run(other).id, id);
  }
  settings.certify.mode = Mode::fast;
  const auto fast = store->find_or_create_run(settings).id;
  settings.backend = "cuda fused fp16";
  EXPECT_NE(store->find_or_create_run(settings).id, fast);
}

TEST(ResultsStore, CertificateReplacesItsChunks) {
  TemporaryFolder folder;
  auto store = ResultsStore::open(folder.path("a.db"), rw);
  const auto run = store->find_or_create_run(sample_settings()).id;
  store->add_chunk(run, sample_chunk(1, 0, 100));
  store->add_chunk(run, sample_chunk(2, 0, 100));
  store->add_certificate(run, sample_certificate(1));
  store->add_chunk(run, sample_chunk(1, 100, 200));  // late: the image is finished
  store->add_chunk(run, sample_chunk(2, 50, 150));   // overlaps: not needed
  const auto chunks = store->chunks(run);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].image, 2u);
  EXPECT_EQ(chunks[0].last, 100u);
}

TEST(ResultsStore, RefusesCountsThatDoNotAddUpOrContradict) {
  TemporaryFolder folder;
  auto store = ResultsStore::open(folder.path("a.db"), rw);
  const auto run = store->find_or_create_run(sample_settings()).id;
  Certificate bad = sample_certificate(1);
  bad.estimation.counts[0] += 1;
  EXPECT_THAT(error_of([&] { store->add_certificate(run, bad); }), HasSubstr("add up to 1001"));
  EXPECT_THAT(error_of([&] { store->add_certificate(77, sample_certificate(1)); }),
              HasSubstr("has no run 77"));
  ChunkCounts chunk = sample_chunk(1, 0, 10);
  chunk.last = 11;
  EXPECT_THAT(error_of([&] { store->add_chunk(run, chunk); }), HasSubstr("add up to 10"));

  store->add_certificate(run, sample_certificate(1));
  store->add_certificate(run, sample_certificate(1, 99.0));  // the same but for its time
  store->flush();
  Certificate other = sample_certificate(1);
  std::swap(other.estimation.counts[0], other.estimation.counts[2]);
  EXPECT_THAT(error_of([&] {
                store->add_certificate(run, sample_certificate(2));
                store->add_certificate(run, other);
                store->flush();
              }),
              HasSubstr("already holds image 1 with another result"));
  EXPECT_EQ(store->certificates(run).size(), 2u);  // the good one of that batch was kept
  ChunkCounts first = sample_chunk(5, 0, 10), second = first;
  std::swap(second.counts.counts[0], second.counts.counts[1]);
  store->add_chunk(run, first);
  EXPECT_THAT(error_of([&] {
                store->add_chunk(run, second);
                store->flush();
              }),
              HasSubstr("samples 0..10 of image 5 with other counts"));
}

TEST(ResultsStore, CommitsWithinASecondWithoutBeingAsked) {
  TemporaryFolder folder;
  auto store = ResultsStore::open(folder.path("a.db"), rw);
  const auto run = store->find_or_create_run(sample_settings()).id;
  auto reader = ResultsStore::open(folder.path("a.db"), Access::read_only);
  store->add_certificate(run, sample_certificate(1));
  for (int i = 0; i < 100 && reader->certificates(run).empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(reader->certificates(run).size(), 1u);
}

TEST(ResultsStore, KeepsDocuments) {
  TemporaryFolder folder;
  auto store = ResultsStore::open(folder.path("a.db"), rw);
  EXPECT_FALSE(store->document("a").has_value());
  store->put_document("b", "{}");
  store->put_document("a", "[1]");
  store->put_document("a", "[2]");
  EXPECT_EQ(store->document("a"), "[2]");
  EXPECT_THAT(store->document_keys(), ElementsAre("a", "b"));
}

TEST(ResultsStore, DumpIsIndependentOfOrderTimesAndDevices) {
  TemporaryFolder folder;
  auto a = ResultsStore::open(folder.path("a.db"), rw);
  auto b = ResultsStore::open(folder.path("b.db"), rw);
  const auto run_a = a->find_or_create_run(sample_settings()).id;
  RunSettings elsewhere = sample_settings();
  elsewhere.backend = "cuda";
  b->find_or_create_run(sample_settings("other"));
  const auto run_b = b->find_or_create_run(elsewhere).id;
  a->find_or_create_run(sample_settings("other"));
  for (std::uint32_t i = 0; i < 20; ++i) {
    a->add_certificate(run_a, sample_certificate(i, 1.0));
    b->add_certificate(run_b, sample_certificate(19 - i, 2.0));
  }
  a->put_document("history", R"({"loss":[1,2],"epoch_seconds":[3],"nested":[{"seconds":1}]})");
  b->put_document("history", R"({"nested":[{"seconds":7}],"epoch_seconds":[4],"loss":[1,2]})");
  EXPECT_EQ(a->canonical_dump(), b->canonical_dump());
  a->add_certificate(run_a, sample_certificate(20));
  EXPECT_NE(a->canonical_dump(), b->canonical_dump());
  b->add_certificate(run_b, sample_certificate(20));
  EXPECT_EQ(a->canonical_dump(), b->canonical_dump());
  a->put_document("history", R"({"loss":[1,3]})");
  EXPECT_NE(a->canonical_dump(), b->canonical_dump());
}

// ---- refusals --------------------------------------------------------------------------------

void fill(const std::filesystem::path& file, std::uint32_t images) {
  auto store = ResultsStore::open(file, rw);
  const auto run = store->find_or_create_run(sample_settings()).id;
  for (std::uint32_t i = 0; i < images; ++i) store->add_certificate(run, sample_certificate(i));
}

TEST(ResultsStoreErrors, MissingEmptyAndForeignFiles) {
  TemporaryFolder folder;
  const auto open = [&](const std::string& name, Access access) {
    return error_of([&] { ResultsStore::open(folder.path(name), access); });
  };
  EXPECT_THAT(open("none.db", Access::read_only), HasSubstr("there is no results store"));
  test::write_text(folder.path("empty.db"), "");
  EXPECT_THAT(open("empty.db", Access::read_only), HasSubstr("not a results store"));
  test::write_text(folder.path("text.db"), std::string(5000, 'x'));
  EXPECT_THAT(open("text.db", Access::read_only), HasSubstr("not a results store"));
  EXPECT_THAT(open("text.db", rw), HasSubstr("not a results store"));
  EXPECT_EQ(test::file_text(folder.path("text.db")), std::string(5000, 'x'));
  {
    store::Database db(folder.path("foreign.db"), store::Database::Access::read_write);
    db.execute("CREATE TABLE t(x)");
  }
  EXPECT_THAT(open("foreign.db", rw), HasSubstr("a SQLite file, but not a results store"));
  EXPECT_THAT(open("nofolder/a.db", rw), HasSubstr("there is no folder"));
  std::filesystem::create_directory(folder.path("folder"));
  EXPECT_THAT(open("folder", rw), HasSubstr("is a folder"));
  test::write_text(folder.path("file"), "x");
  EXPECT_THAT(open("file/a.db", rw), HasSubstr("there is no folder"));
}

TEST(ResultsStoreErrors, NewerVersionIsRefusedNamingBoth) {
  TemporaryFolder folder;
  fill(folder.path("a.db"), 1);
  {
    store::Database db(folder.path("a.db"), store::Database::Access::read_write);
    db.execute("PRAGMA user_version=42");
    db.execute("UPDATE meta SET value='smoothcert 7.1.0'");
  }
  const auto message = error_of([&] { ResultsStore::open(folder.path("a.db"), rw); });
  EXPECT_THAT(message, HasSubstr("schema version 42 (made by 'smoothcert 7.1.0')"));
  EXPECT_THAT(message, HasSubstr("knows version 3"));
}

// Version 1 had no runs.p_b, version 2 nothing of what came with version 3.
void make_version_1(const std::filesystem::path& file) {
  fill(file, 5);
  store::Database db(file, store::Database::Access::read_write);
  for (const char* column : {"p_b", "rule", "target", "checkpoints", "stopped_at", "norm", "kind",
                             "soundness", "pixels", "external"})
    db.execute(std::string("ALTER TABLE runs DROP COLUMN ") + column);
  for (const char* column : {"samples", "stop", "checksum"})
    db.execute(std::string("ALTER TABLE certificates DROP COLUMN ") + column);
  for (const char* column : {"label", "checksum"})
    db.execute(std::string("ALTER TABLE chunks DROP COLUMN ") + column);
  db.execute("DROP TABLE disproofs");
  db.execute("DELETE FROM meta WHERE name = 'bound'");
  db.execute("PRAGMA user_version=1");
}

TEST(ResultsStore, OlderVersionIsReadAsItIsAndUpgradedWhereItIsWritten) {
  TemporaryFolder folder;
  fill(folder.path("new.db"), 5);
  make_version_1(folder.path("old.db"));
  const std::string bytes = test::file_text(folder.path("old.db"));
  const std::string expected = ResultsStore::open(folder.path("new.db"), rw)->canonical_dump();
  {
    const auto old = ResultsStore::open(folder.path("old.db"), Access::read_only);
    EXPECT_EQ(old->canonical_dump(), expected);
    EXPECT_EQ(old->runs()[0].settings.certify.p_b, SecondBound::complement);
  }
  EXPECT_EQ(test::file_text(folder.path("old.db")), bytes) << "reading writes nothing";
  auto old = ResultsStore::open(folder.path("old.db"), rw);
  RunSettings counted = old->runs()[0].settings;
  counted.certify.p_b = SecondBound::counted;
  const RunInfo added = old->find_or_create_run(counted);
  EXPECT_NE(added.id, old->runs()[0].id);
  EXPECT_EQ(old->runs()[0].settings.certify.p_b, SecondBound::complement);
  EXPECT_EQ(old->runs()[1].settings.certify.p_b, SecondBound::counted);
  EXPECT_EQ(old->certificates(1).size(), 5u) << "with checksums now";
  store::Database db(folder.path("old.db"), store::Database::Access::read_write);
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM certificates WHERE checksum = ''"), 0);
  EXPECT_EQ(db.query_integer("SELECT samples FROM certificates LIMIT 1"), 1000);
}

TEST(ResultsStore, ALieInAnOlderVersionDoesNotGetAChecksum) {
  TemporaryFolder folder;
  make_version_1(folder.path("old.db"));
  {
    store::Database db(folder.path("old.db"), store::Database::Access::read_write);
    db.execute("UPDATE certificates SET estimation_counts = '[100000000,0,0]' WHERE image = 2");
  }
  std::vector<std::string> faults;
  const auto old = ResultsStore::open(folder.path("old.db"), rw,
                                      [&](const std::string& line) { faults.push_back(line); });
  EXPECT_EQ(old->certificates(1).size(), 4u);
  EXPECT_THAT(faults, ElementsAre(HasSubstr("image 2: one of its estimation counts is larger")));
}

TEST(ResultsStoreErrors, TruncatedOrDamagedFileNeverPassesAsWhole) {
  TemporaryFolder folder;
  fill(folder.path("a.db"), 400);
  const std::string whole = test::file_text(folder.path("a.db"));
  ASSERT_GT(whole.size(), 40000u);
  for (std::size_t keep : {std::size_t{1}, std::size_t{50}, std::size_t{99}, std::size_t{4096},
                           whole.size() / 2, whole.size() - 4096, whole.size() - 1}) {
    const auto file = folder.path("cut" + std::to_string(keep));
    test::write_text(file, whole.substr(0, keep));
    for (Access access : {Access::read_only, rw}) {
      const auto message = error_of([&] { ResultsStore::open(file, access); });
      EXPECT_THAT(message, testing::AnyOf(HasSubstr("damaged"), HasSubstr("not a results store")))
          << keep;
      EXPECT_THAT(message, testing::Not(HasSubstr("\n")));
    }
  }
  int refused = 0;
  for (std::size_t at = 5000; at + 100 < whole.size(); at += 9001) {
    std::string bytes = whole;
    for (std::size_t i = 0; i < 100; ++i) bytes[at + i] = static_cast<char>(0xff);
    const auto file = folder.path("hit" + std::to_string(at));
    test::write_text(file, bytes);
    const auto message = error_of([&] {
      auto store = ResultsStore::open(file, Access::read_only);
      for (const RunInfo& run : store->runs()) store->certificates(run.id);
    });
    refused += message.empty() ? 0 : 1;
  }
  EXPECT_GT(refused, 0);
}

TEST(ResultsStoreErrors, LockedByAnotherProcess) {
  TemporaryFolder folder;
  fill(folder.path("a.db"), 1);
  auto store = ResultsStore::open(folder.path("a.db"), rw);
  const auto run = store->find_or_create_run(sample_settings()).id;
  store::Database other(folder.path("a.db"), store::Database::Access::read_write);
  other.execute("BEGIN IMMEDIATE");
  const auto message = error_of([&] {
    store->add_certificate(run, sample_certificate(5));
    store->flush();
  });
  EXPECT_THAT(message, HasSubstr("a.db' is locked by another process"));
  other.execute("COMMIT");
  EXPECT_EQ(store->certificates(run).size(), 2u);  // not lost: written once the lock is gone
}

TEST(ResultsStoreErrors, ReadOnlyStoreCannotBeWritten) {
  TemporaryFolder folder;
  fill(folder.path("a.db"), 1);
  auto store = ResultsStore::open(folder.path("a.db"), Access::read_only);
  EXPECT_THAT(error_of([&] { store->put_document("a", "1"); }), HasSubstr("for reading only"));
  EXPECT_THAT(error_of([&] { store->add_chunk(1, sample_chunk(7, 0, 5)); }),
              HasSubstr("for reading only"));
  EXPECT_THAT(error_of([&] { store->find_or_create_run(sample_settings("new")); }),
              HasSubstr("for reading only"));
}

TEST(ResultsStoreErrors, FolderThatMayNotBeWritten) {
  if (geteuid() == 0) {
    // root may write everywhere; /proc refuses even root
    EXPECT_THAT(error_of([] { ResultsStore::open("/proc/smoothcert.db", rw); }),
                HasSubstr("cannot be opened; check the permissions"));
    return;
  }
  TemporaryFolder folder;
  std::filesystem::create_directory(folder.path("closed"));
  fill(folder.path("closed") / "a.db", 3);
  std::filesystem::permissions(folder.path("closed"), std::filesystem::perms(0500));
  EXPECT_THAT(error_of([&] { ResultsStore::open(folder.path("closed") / "b.db", rw); }),
              HasSubstr("check the permissions"));
  auto reader = ResultsStore::open(folder.path("closed") / "a.db", Access::read_only);
  EXPECT_EQ(reader->certificates(1).size(), 3u);
  std::filesystem::permissions(folder.path("closed"), std::filesystem::perms(0700));
}

// A file-size limit is the nearest thing to a full disk that a test can make.
TEST(ResultsStoreErrors, FullDiskIsOneLineAndLosesNothingCommitted) {
  TemporaryFolder folder;
  const auto file = folder.path("a.db");
  fill(file, 50);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlim_t limit = std::filesystem::file_size(file) + 20000;
    const rlimit sizes{limit, limit};
    setrlimit(RLIMIT_FSIZE, &sizes);
    const auto message = error_of([&] {
      auto store = ResultsStore::open(file, rw);
      const auto run = store->find_or_create_run(sample_settings()).id;
      for (std::uint32_t i = 50; i < 5000; ++i) {
        store->add_certificate(run, sample_certificate(i));
        if (i % 20 == 0) store->flush();
      }
    });
    const bool clear = message.find("a.db") != std::string::npos &&
                       message.find("disk") != std::string::npos &&
                       message.find('\n') == std::string::npos;
    _exit(clear ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  auto store = ResultsStore::open(file, rw);
  const auto run = store->find_or_create_run(sample_settings()).id;
  const auto kept = store->certificates(run);
  EXPECT_GE(kept.size(), 50u);
  EXPECT_LT(kept.size(), 5000u);
  for (const Certificate& c : kept) expect_same(c, sample_certificate(c.image));
}

}  // namespace
}  // namespace smoothcert
