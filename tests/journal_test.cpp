// Stores where no write-ahead log can be kept: said, journalled plainly, written by one process.
#include "store/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "smoothcert/error.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using store::choose_journal;
using store::Database;
using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

TEST(Journal, IsWriteAheadOnALocalDisk) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(store::shared_filesystem(folder.path("s.sqlite")), "");
  Database db(folder.path("s.sqlite"), Database::Access::read_write);
  const auto journal = choose_journal(db, "");
  EXPECT_EQ(journal.note, "");
  EXPECT_EQ(journal.mark, nullptr);
  EXPECT_EQ(db.query_text("PRAGMA journal_mode"), "wal");
}

TEST(Journal, IsPlainWithOneWriterOnASharedFileSystem) {
  const test::TemporaryFolder folder;
  const auto file = folder.path("s.sqlite");
  {
    Database db(file, Database::Access::read_write);
    const auto journal = choose_journal(db, "NFS");
    EXPECT_THAT(journal.note, AllOf(HasSubstr("on NFS"), HasSubstr("one process")));
    EXPECT_EQ(db.query_text("PRAGMA journal_mode"), "delete");
    Database other(file, Database::Access::read_write);
    EXPECT_THAT(error_of([&] { choose_journal(other, "NFS"); }),
                AllOf(HasSubstr("is being written by process " + std::to_string(getpid())),
                      HasSubstr("s.sqlite-writer")));
  }
  EXPECT_FALSE(std::filesystem::exists(file.string() + "-writer"));
}

TEST(Journal, TakesOverTheMarkOfAProcessThatEnded) {
  const test::TemporaryFolder folder;
  const auto file = folder.path("s.sqlite");
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  test::write_text(file.string() + "-writer", std::string(host.data()) + " 2147483000\n");
  { const store::WriterMark mark(file); }
  test::write_text(file.string() + "-writer", "another-machine 12\n");
  EXPECT_THAT(error_of([&] { const store::WriterMark mark(file); }),
              HasSubstr("process 12 on another-machine"));
}

// A store that was write-ahead before it was copied to such a place.
TEST(Journal, ChangesAStoreThatWasWriteAhead) {
  const test::TemporaryFolder folder;
  const auto file = folder.path("s.sqlite");
  { ResultsStore::open(file, ResultsStore::Access::read_write)->put_document("a", "1"); }
  Database db(file, Database::Access::read_write);
  const auto journal = choose_journal(db, "Lustre");
  EXPECT_EQ(db.query_text("PRAGMA journal_mode"), "delete");
}

}  // namespace
}  // namespace smoothcert
