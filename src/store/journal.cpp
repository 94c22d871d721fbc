// How a store's file is journalled: write-ahead where the file system can, plainly elsewhere.
#include "store/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "smoothcert/error.hpp"

namespace smoothcert::store {
namespace {

struct Shared {
  std::uint32_t magic;  // of statfs(2)
  const char* name;
};
constexpr std::array<Shared, 13> kShared{{{0x6969, "NFS"},
                                          {0x517B, "SMB"},
                                          {0xFE534D42, "SMB"},
                                          {0xFF534D42, "SMB"},
                                          {0x0BD00BD0, "Lustre"},
                                          {0x47504653, "GPFS"},
                                          {0x00C36400, "Ceph"},
                                          {0x19830326, "BeeGFS"},
                                          {0xAAD7AAEA, "PanFS"},
                                          {0x7461636F, "OCFS2"},
                                          {0x01161970, "GFS2"},
                                          {0x5346414F, "AFS"},
                                          {0x01021997, "9P"}}};

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

}  // namespace

std::string shared_filesystem(const std::filesystem::path& file) {
  struct statfs info {};
  const auto folder = std::filesystem::absolute(file).parent_path();
  if (statfs(folder.c_str(), &info) != 0) return "";
  for (const Shared& shared : kShared)
    if (static_cast<std::uint32_t>(info.f_type) == shared.magic) return shared.name;
  return "";
}

WriterMark::WriterMark(const std::filesystem::path& store) : file_(store.string() + "-writer") {
  const std::string ours = fmt::format("{} {}\n", host_name(), getpid());
  for (int attempt = 0; attempt < 2; ++attempt) {
    // O_EXCL holds on network file systems, too.
    const int fd = open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
      const bool written = write(fd, ours.data(), ours.size()) == static_cast<ssize_t>(ours.size());
      close(fd);
      if (written) return;
      unlink(file_.c_str());
      throw Error(fmt::format("cannot write {}: {}", file_.string(), std::strerror(ENOSPC)));
    }
    if (errno != EEXIST)
      throw Error(fmt::format("cannot write {}: {}", file_.string(), std::strerror(errno)));
    std::ifstream in(file_);
    std::string host;
    long pid = 0;
    in >> host >> pid;
    const bool ended =
        host == host_name() && pid > 0 && kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
    if (!ended)
      throw Error(fmt::format(
          "results store '{}' is being written by process {} on {}; on a shared file system one "
          "process writes at a time. Where that one is gone, remove {}",
          store.string(), pid, host.empty() ? "a machine that is not named" : host,
          file_.string()));
    unlink(file_.c_str());
  }
  throw Error(fmt::format("{} comes and goes; which process writes this store?", file_.string()));
}

WriterMark::~WriterMark() { unlink(file_.c_str()); }

Journal choose_journal(Database& db, const std::string& filesystem) {
  Journal journal;
  std::string why;
  if (filesystem.empty()) {
    if (const std::string granted = db.query_text("PRAGMA journal_mode=WAL"); granted != "wal")
      why = "where it is no write-ahead log can be kept (SQLite grants '" + granted + "')";
  } else {
    why = "it is on " + filesystem + ", a file system of several machines";
  }
  if (why.empty()) return journal;
  journal.mark = std::make_unique<WriterMark>(db.file());
  db.execute("PRAGMA journal_mode=DELETE");
  journal.note = fmt::format(
      "results store '{}': {}; a plain journal is used instead, and one process may write at a "
      "time",
      db.file().string(), why);
  return journal;
}

}  // namespace smoothcert::store
