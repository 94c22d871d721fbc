// Whole files: what is written is there entirely or not at all, and nothing else is harmed.
#include "util/atomic_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <thread>

#include "data_support.hpp"
#include "smoothcert/error.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AtomicFile : public testing::Test {
 protected:
  [[nodiscard]] static std::string text(const std::vector<std::uint8_t>& bytes) {
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_.path("")), fs::directory_iterator()));
  }
  static unsigned mode(const fs::path& file) {
    struct stat info {};
    EXPECT_EQ(stat(file.c_str(), &info), 0);
    return info.st_mode & 07777;
  }
  test::TemporaryFolder folder_;
};

TEST_F(AtomicFile, ReplacesWhatWasThere) {
  const fs::path file = folder_.path("a b ü.txt");
  write_file_atomically(file, "one");
  write_file_atomically(file, "two");
  EXPECT_EQ(text(read_file(file)), "two");
  EXPECT_EQ(entries(), 1u);
  // As long as names can be: the temporary file must not be longer.
  write_file_atomically(folder_.path(std::string(255, 'x')), "long");
}

TEST_F(AtomicFile, KeepsPermissionsAndObeysTheUmask) {
  const fs::path file = folder_.path("file");
  const mode_t old = umask(077);
  write_file_atomically(file, "one");
  umask(old);
  EXPECT_EQ(mode(file), 0600u);
  chmod(file.c_str(), 0640);
  write_file_atomically(file, "two");
  EXPECT_EQ(mode(file), 0640u);
}

TEST_F(AtomicFile, FollowsALinkInsteadOfReplacingIt) {
  fs::create_directory(folder_.path("deep"));
  fs::create_symlink("deep/real", folder_.path("link"));
  write_file_atomically(folder_.path("link"), "one");  // a link to nothing yet
  write_file_atomically(folder_.path("link"), "two");
  EXPECT_TRUE(fs::is_symlink(folder_.path("link")));
  EXPECT_EQ(text(read_file(folder_.path("deep/real"))), "two");
}

TEST_F(AtomicFile, WritesIntoAPipeAndReadsFromOne) {
  const fs::path pipe = folder_.path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string sent(200'000, 'x');
  std::jthread writer([&] { write_file_atomically(pipe, sent); });
  EXPECT_EQ(text(read_file(pipe)), sent);
  writer.join();
  EXPECT_TRUE(fs::is_fifo(pipe)) << "a pipe or a device is never replaced by a file";
  EXPECT_EQ(entries(), 1u);
}

TEST_F(AtomicFile, RefusesWhatIsNoFile) {
  const auto failure = [](const auto& action) -> std::string {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(failure([&] { read_file(folder_.path("")); }), HasSubstr("is a folder"));
  EXPECT_THAT(failure([&] { read_file("/dev/zero"); }), HasSubstr("is not a file"));
  EXPECT_THAT(failure([&] { write_file_atomically(folder_.path(""), "x"); }),
              HasSubstr("cannot write"));
  EXPECT_THAT(failure([&] { write_file_atomically(folder_.path("no/such"), "x"); }),
              HasSubstr("choose a folder that exists"));
  const fs::path pipe = folder_.path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::signal(SIGPIPE, SIG_IGN);
  std::jthread writer([&] {
    try {
      write_file_atomically(pipe, std::string(200'000, 'x'));
    } catch (const Error&) {  // nobody reads the rest
    }
  });
  EXPECT_THAT(failure([&] { read_file(pipe, 1000); }), HasSubstr("too large"));
}

}  // namespace
}  // namespace smoothcert
