// The downloader against a loopback server: what is good is kept, what is not never gets a name.
#include "data/fetch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "data_support.hpp"
#include "http_support.hpp"
#include "smoothcert/data_source.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"
#include "util/sha256.hpp"

namespace smoothcert {
namespace {

namespace fs = std::filesystem;
using test::Answer;
using test::Bytes;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Bytes that do not compress away, so that a cut lands in the middle.
Bytes noise(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 1;
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>((state = state * 1664525 + 1) >> 24);
  return bytes;
}

class Fetch : public ::testing::Test {
 protected:
  test::TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path() / "cache" / "set";
  test::ScopedEnvironment proxy_{"no_proxy", "127.0.0.1"}, PROXY_{"NO_PROXY", "127.0.0.1"};
  test::LoopbackServer server_;
  Bytes plain_ = noise(100'000), packed_ = test::gzip(plain_);
  RemoteDataSet set_{"set",
                     {server_.url() + "/a/", server_.url() + "/b/"},
                     {{"file", true, plain_.size(), sha256_hex(plain_), ""}}};
  std::vector<std::string> said_;

  FetchOptions options() {
    FetchOptions options;
    options.limits.stall_seconds = 1;
    options.limits.slowest = 1 << 20;  // so that the first second already counts as a stall
    options.limits.connect_seconds = 2;
    options.say = [this](std::string_view line) { said_.emplace_back(line); };
    return options;
  }
  void fetch() { fetch_remote_data_set(set_, folder_, options()); }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_))
      if (entry.path().filename() != ".lock") names.push_back(entry.path().filename().string());
    return names;
  }
  void expect_whole() {
    EXPECT_EQ(read_file(folder_ / "file"), plain_);
    EXPECT_THAT(files(), ::testing::ElementsAre("file"));  // no part is left
  }
};

TEST_F(Fetch, AGoodFile) {
  server_.serve("/a/file.gz", {{200, packed_}});
  std::uint64_t last = 0, total = 0;
  FetchOptions with_progress = options();
  with_progress.progress = [&](std::string_view file, std::uint64_t done, std::uint64_t all) {
    EXPECT_EQ(file, "file.gz");
    EXPECT_GE(done, last);
    last = done;
    total = all;
  };
  fetch_remote_data_set(set_, folder_, with_progress);
  expect_whole();
  EXPECT_EQ(last, packed_.size());
  EXPECT_EQ(total, packed_.size());
  EXPECT_THAT(said_, ::testing::ElementsAre("downloaded " + server_.url() + "/a/file.gz"));
  fetch();  // nothing to do
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(Fetch, TheSecondMirrorWhereTheFirstHasNothing) {
  server_.serve("/b/file.gz", {{200, packed_}});
  fetch();
  expect_whole();
  ASSERT_EQ(server_.requests().size(), 2u);
  EXPECT_EQ(server_.requests()[0].path, "/a/file.gz");
}

TEST_F(Fetch, NothingAnywhereNamesEveryMirror) {
  EXPECT_THAT(message_of<Error>([&] { fetch(); }),
              AllOf(HasSubstr("download of set failed"), HasSubstr("/a/file.gz: HTTP 404"),
                    HasSubstr("/b/file.gz: HTTP 404")));
}

TEST_F(Fetch, WrongContentNeverGetsTheName) {
  Bytes other = plain_;
  other[5] ^= 1;
  Bytes damaged = packed_;
  damaged[damaged.size() / 2] ^= 0x55;
  for (const auto& [bad, words] : {std::pair{test::gzip(other), "SHA-256"},
                                   {damaged, "wrong content"},
                                   {plain_, "not a gzip file"},
                                   {test::gzip(noise(99'999)), "not 100000 bytes"}}) {
    server_.serve("/a/file.gz", {{200, bad}});
    const auto message = message_of<Error>([&] { fetch(); });
    EXPECT_THAT(message, AllOf(HasSubstr("wrong content"), HasSubstr(words)));
    EXPECT_TRUE(files().empty());
  }
  server_.serve("/b/file.gz", {{200, packed_}});
  fetch();
  expect_whole();
}

TEST_F(Fetch, ThePackedHashIsCheckedWhereItIsPinned) {
  set_.files[0].sha256.clear();
  set_.files[0].packed_sha256 = sha256_hex(std::span<const std::uint8_t>(packed_));
  Bytes other = plain_;
  other[5] ^= 1;
  server_.serve("/a/file.gz", {{200, test::gzip(other)}});
  EXPECT_THAT(message_of<Error>([&] { fetch(); }), HasSubstr("SHA-256 of the .gz"));
  server_.serve("/a/file.gz", {{200, packed_}});
  fetch();
  expect_whole();
}

TEST_F(Fetch, ABrokenConnectionIsTakenUpAgain) {
  server_.serve("/a/file.gz",
                {{200, packed_, true, 30'000}, {200, packed_, true, 20'000}, {200, packed_}});
  fetch();
  expect_whole();
  ASSERT_EQ(server_.requests().size(), 3u);
  EXPECT_EQ(server_.requests()[1].from, 30'000u);
  EXPECT_EQ(server_.requests()[2].from, 50'000u);
}

TEST_F(Fetch, AlwaysTruncatedIsAnErrorAndGoesOnNextTime) {
  server_.serve("/a/file.gz", {{200, packed_, true, 10'000}});
  EXPECT_THAT(message_of<Error>([&] { fetch(); }), HasSubstr("/a/file.gz: "));
  ASSERT_EQ(files().size(), 1u);
  EXPECT_TRUE(files()[0].ends_with(".part"));
  const auto before = server_.requests().size();
  server_.serve("/a/file.gz", {{200, packed_}});
  fetch();
  expect_whole();
  EXPECT_EQ(server_.requests()[before].from, 40'000u);
}

TEST_F(Fetch, AServerWithoutRangesStartsAnew) {
  server_.serve("/a/file.gz", {{200, packed_, false, 10'000}, {200, packed_, false}});
  fetch();
  expect_whole();
}

TEST_F(Fetch, APartOfAnotherFileIsThrownAway) {
  server_.serve("/a/file.gz", {{200, noise(50'000), true, 20'000, true}});
  EXPECT_THROW(fetch(), Error);
  server_.serve("/a/file.gz", {{200, packed_}});
  fetch();
  expect_whole();
  EXPECT_EQ(server_.requests().back().from, 0u);
}

TEST_F(Fetch, APartThatIsCompleteNeedsNoMore) {
  server_.serve("/a/file.gz",
                {{200, packed_, true, static_cast<std::int64_t>(packed_.size() - 1), true}});
  EXPECT_THROW(fetch(), Error);
  const fs::path part = folder_ / files().at(0);
  test::write_bytes(part, packed_);  // stopped between the last byte and the check
  server_.serve("/a/file.gz", {{200, packed_}});
  fetch();
  expect_whole();
}

TEST_F(Fetch, AStalledMirrorIsGivenUp) {
  server_.serve("/a/file.gz", {{200, packed_, true, 1'000, true}});
  server_.serve("/b/file.gz", {{200, packed_}});
  const auto begin = std::chrono::steady_clock::now();
  fetch();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
  EXPECT_EQ(read_file(folder_ / "file"), plain_);
  server_.serve("/b/file.gz", {{200, packed_, true, 1'000, true}});
  fs::remove(folder_ / "file");
  EXPECT_THAT(message_of<Error>([&] { fetch(); }), HasSubstr("stalled for 1 s"));
}

TEST_F(Fetch, MoreThanExpectedIsRefusedWithoutKeepingIt) {
  server_.serve("/a/file.gz", {{200, noise(200'000)}});
  EXPECT_THAT(message_of<Error>([&] { fetch(); }), HasSubstr("more than the"));
}

TEST_F(Fetch, StopsWhenAskedAndGoesOn) {
  server_.serve("/a/file.gz", {{200, packed_, true, 40'000, true}});
  std::stop_source stop;
  FetchOptions stoppable = options();
  stoppable.limits.stall_seconds = 30;
  stoppable.stop = stop.get_token();
  stoppable.progress = [&](std::string_view, std::uint64_t, std::uint64_t) { stop.request_stop(); };
  EXPECT_THROW(fetch_remote_data_set(set_, folder_, stoppable), Interrupted);
  server_.serve("/a/file.gz", {{200, packed_}});
  fetch();
  expect_whole();
  EXPECT_GT(server_.requests().back().from, 0u);
}

TEST_F(Fetch, ADamagedFileInTheCacheIsFetchedAgain) {
  fs::create_directories(folder_);
  Bytes damaged = plain_;
  damaged[7] ^= 1;
  test::write_bytes(folder_ / "file", damaged);
  server_.serve("/a/file.gz", {{200, packed_}});
  fetch();
  expect_whole();
  EXPECT_THAT(said_.at(0), HasSubstr("is damaged"));
}

TEST_F(Fetch, AnUnwritableCacheSaysSo) {
  test::write_bytes(temporary_.path() / "cache", Bytes{1});
  EXPECT_THAT(message_of<Error>([&] { fetch(); }), HasSubstr("cannot create"));
}

// Through load_data(): the order of places ends with a download, and then with digits.
class FetchedData : public Fetch {
 protected:
  test::ScopedEnvironment no_data_{"SMOOTHCERT_DATA", std::nullopt};
  test::ScopedEnvironment xdg_{"XDG_CACHE_HOME", (temporary_.path() / "xdg").string()};
  DataRequest request() {
    DataRequest request;
    request.mirror = server_.url();
    request.digits_train = request.digits_test = 20;
    return request;
  }
};

TEST_F(FetchedData, MnistIsFetchedOnceIntoTheCache) {
  const auto mnist = test::mnist_folder();
  if (!mnist) GTEST_SKIP() << "no MNIST in $SMOOTHCERT_DATA or ../shared/data/mnist";
  for (const std::string name : {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    const fs::path packed = *mnist / (name + ".gz");
    server_.serve(
        "/" + name + ".gz",
        {{200, fs::exists(packed) ? read_file(packed) : test::gzip(read_file(*mnist / name))}});
  }
  DataRequest wanted = request();
  wanted.need_train = false;  // its files are not asked for
  const DataPair pair = load_data(wanted);
  EXPECT_EQ(pair.test.size(), 10000u);
  EXPECT_THAT(pair.note, HasSubstr("downloaded"));
  EXPECT_EQ(server_.requests().size(), 2u);
  wanted.allow_download = false;
  EXPECT_EQ(load_data(wanted).test.sha256, pair.test.sha256);
}

TEST_F(FetchedData, DigitsStandInOnlyWhereNothingWasAskedFor) {
  DataRequest wanted = request();
  EXPECT_THAT(message_of<Error>([&] { load_data(wanted); }),
              AllOf(HasSubstr("no data set 'mnist'"), HasSubstr("HTTP 404")));
  wanted.allow_digits = true;
  const DataPair pair = load_data(wanted);
  EXPECT_TRUE(pair.stand_in);
  EXPECT_EQ(pair.test.name, "digits");
  EXPECT_THAT(pair.note, AllOf(HasSubstr("HTTP 404"), HasSubstr("WARNING")));
  wanted.name = "mnist";
  EXPECT_THROW(load_data(wanted), Error);
}

TEST_F(FetchedData, WhatCannotBeFetched) {
  DataRequest wanted = request();
  wanted.name = "digits";
  EXPECT_THAT(message_of<UsageError>([&] { fetch_data(wanted); }),
              HasSubstr("cannot be downloaded; mnist and fashion-mnist can"));
}

}  // namespace
}  // namespace smoothcert
