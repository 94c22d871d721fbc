// How a store's file is journalled: write-ahead where the file system can, plainly elsewhere.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "store/sqlite.hpp"

namespace smoothcert::store {

/// "NFS", "Lustre" … where `file` lies on a file system that several machines share; "" elsewhere
/// and where it cannot be told.
std::string shared_filesystem(const std::filesystem::path& file);

/// Marks a store as being written, for file systems on which SQLite's own locks are not to be
/// relied on: FILE-writer, made by whoever is first and removed at the end.
class WriterMark {
 public:
  /// Takes over the mark of a process of this machine that has ended. Throws Error naming who
  /// writes.
  explicit WriterMark(const std::filesystem::path& store);
  ~WriterMark();
  WriterMark(const WriterMark&) = delete;
  WriterMark& operator=(const WriterMark&) = delete;

 private:
  std::filesystem::path file_;
};

struct Journal {
  std::string note;                  ///< one line for the user; "" where all is as usual
  std::unique_ptr<WriterMark> mark;  ///< where one writer at a time is all there may be
};

/// Write-ahead logging needs memory that all processes share, so one machine: SQLite grants it or
/// says what it does instead, and cannot know of a second machine. `filesystem` is
/// shared_filesystem()'s answer. Throws Error: another process writes.
Journal choose_journal(Database& db, const std::string& filesystem);

}  // namespace smoothcert::store
