// SIGKILL at a random moment, a hundred times: the store stays valid, and the one that is finished
// after all is identical to one that was never interrupted.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <random>
#include <set>
#include <thread>

#include "smoothcert/results.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::sample_certificate;
using test::sample_chunk;
using test::sample_settings;
using Access = ResultsStore::Access;

constexpr std::uint32_t kImages = 1000;

// Continues from what the store holds, as certification does, and ends when all images are in.
// Calls `writing` when it has read what is there and begins to write.
void write_rest(
    const std::filesystem::path& file, std::chrono::microseconds pause,
    const std::function<void()>& writing = [] {}) {
  auto store = ResultsStore::open(file, Access::read_write);
  const auto run = store->find_or_create_run(sample_settings()).id;
  std::set<std::uint32_t> done;
  for (const Certificate& c : store->certificates(run)) done.insert(c.image);
  writing();
  for (std::uint32_t i = 0; i < kImages; ++i) {
    if (done.contains(i)) continue;
    store->add_chunk(run, sample_chunk(i, 0, 500));
    store->add_chunk(run, sample_chunk(i, 500, 1000));
    if (i % 3 == 0) store->flush();
    store->add_certificate(run, sample_certificate(i));
    if (i % 2 == 0) store->flush();
    std::this_thread::sleep_for(pause);
  }
  store->flush();
}

TEST(ResultsStoreKill, AHundredKillsLeaveAValidStoreAndAnIdenticalResult) {
  test::TemporaryFolder folder;
  const auto file = folder.path("killed.db");
  std::mt19937 random(20261124);
  // Made once, and inherited by every child: the noise's table takes longer than a child lives.
  const RunSettings settings = sample_settings();
  ASSERT_GT(bound_settings(settings.certify, settings.shape).slack, 0);
  std::size_t held = 0, most = 0;
  int killed_times = 0;
  for (int attempt = 0; killed_times < 100 && attempt < 1000; ++attempt) {
    int says_writing[2];
    ASSERT_EQ(pipe(says_writing), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      write_rest(file, std::chrono::microseconds(200),
                 [&] { [[maybe_unused]] const auto told = write(says_writing[1], "w", 1); });
      _exit(0);
    }
    close(says_writing[1]);
    // Every other kill waits until the child writes, which on a slow machine is later than 60 ms.
    char told = 0;
    if (attempt % 2 == 1) {
      EXPECT_GE(read(says_writing[0], &told, 1), 0);
    }
    close(says_writing[0]);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) {  // it ended before: from the beginning
      for (const char* suffix : {"", "-wal", "-shm"})
        std::filesystem::remove(file.string() + suffix);
      held = 0;
      continue;
    }
    ++killed_times;
    if (!std::filesystem::exists(file)) continue;  // killed before its first write
    auto store = ResultsStore::open(file, Access::read_write);
    const auto run = store->find_or_create_run(sample_settings()).id;
    const auto certificates = store->certificates(run);
    EXPECT_GE(certificates.size(), held);  // nothing committed is ever lost
    held = certificates.size();
    most = std::max(most, held);
  }
  EXPECT_EQ(killed_times, 100);
  EXPECT_GT(most, 0u);
  write_rest(file, {});
  write_rest(folder.path("whole.db"), {});
  const auto killed = ResultsStore::open(file, Access::read_only);
  const auto whole = ResultsStore::open(folder.path("whole.db"), Access::read_only);
  EXPECT_EQ(killed->canonical_dump(), whole->canonical_dump());
  EXPECT_EQ(killed->certificates(1).size(), kImages);
  EXPECT_TRUE(killed->chunks(1).empty());
}

}  // namespace
}  // namespace smoothcert
