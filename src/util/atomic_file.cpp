// Whole-file writes that never leave half a file, and whole-file reads with a bound.
#include "util/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  /// Closing can report a delayed write error (NFS, quota): the last chance to see it.
  [[nodiscard]] bool close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0;
  }

 private:
  int fd_;
};

bool write_all(int fd, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

[[noreturn]] void fail_to_write(const std::filesystem::path& file, int error) {
  throw Error("cannot write " + file.string() + ": " + std::strerror(error) +
              (error == ENOENT || error == EACCES || error == EROFS
                   ? "; choose a folder that exists and is writable"
                   : ""));
}

/// A pipe or a device: there is nothing to rename over, the bytes go into it. Opened for a pipe's
/// sake without O_CREAT, so that nothing takes its place.
void write_into(const std::filesystem::path& file, std::span<const std::uint8_t> bytes) {
  Descriptor fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0 || !write_all(fd.get(), bytes) || !fd.close()) fail_to_write(file, errno);
}

/// A new file in `folder`, with the permissions that the user's umask gives. Short, since the name
/// of the file itself may be as long as names can be.
Descriptor temporary_in(const std::filesystem::path& folder, std::string& name) {
  static std::atomic<unsigned> counter = 0;
  for (;;) {
    name = (folder / (".smoothcert-" + std::to_string(::getpid()) + "-" +
                      std::to_string(counter++) + ".tmp"))
               .string();
    const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return Descriptor(fd);
  }
}

/// Up to the end, for what has no size: a pipe.
std::vector<std::uint8_t> read_to_end(int fd, const std::filesystem::path& file,
                                      std::size_t limit) {
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  std::vector<std::uint8_t> bytes;
  std::size_t done = 0;
  for (;;) {
    bytes.resize(done + kPiece);
    const ssize_t got = ::read(fd, bytes.data() + done, kPiece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error("cannot read " + file.string() + ": " + std::strerror(errno));
    done += static_cast<std::size_t>(got);
    if (got == 0) break;
    if (done > limit)
      throw Error(file.string() + " is too large: at most " + std::to_string(limit) +
                  " bytes are expected");
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace

std::filesystem::path write_target(const std::filesystem::path& file) {
  // By hand, since weakly_canonical() does not follow a link to what is not there yet.
  constexpr int kMostLinks = 40;  // as the kernel
  std::filesystem::path target = file;
  std::error_code ignored;
  for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(target, ignored); ++i) {
    const auto next = std::filesystem::read_symlink(target, ignored);
    if (ignored) break;
    target = target.parent_path() / next;  // an absolute `next` stands alone
  }
  return target;
}

bool is_special_file(const std::filesystem::path& file) {
  std::error_code ignored;
  const auto status = std::filesystem::status(file, ignored);
  return std::filesystem::is_other(status);
}

void write_file_atomically(const std::filesystem::path& file, std::span<const std::uint8_t> bytes) {
  if (is_special_file(file)) return write_into(file, bytes);
  const auto target = write_target(file);
  std::string temporary;
  Descriptor fd = temporary_in(target.parent_path(), temporary);
  if (fd.get() < 0) fail_to_write(file, errno);
  // A file that is replaced keeps its permissions.
  struct stat old {};
  const bool replaces = ::stat(target.c_str(), &old) == 0;
  const bool stored =
      write_all(fd.get(), bytes) && (!replaces || ::fchmod(fd.get(), old.st_mode & 07777) == 0) &&
      ::fsync(fd.get()) == 0 && fd.close() && ::rename(temporary.c_str(), target.c_str()) == 0;
  if (!stored) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail_to_write(file, error);
  }
}

void write_file_atomically(const std::filesystem::path& file, std::string_view text) {
  write_file_atomically(file,
                        std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::vector<std::uint8_t> read_file(const std::filesystem::path& file, std::size_t limit) {
  Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) throw Error("cannot read " + file.string() + ": " + std::strerror(errno));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || S_ISDIR(info.st_mode))
    throw Error("cannot read " + file.string() + ": it is a folder, not a file");
  if (S_ISFIFO(info.st_mode)) return read_to_end(fd.get(), file, limit);
  if (!S_ISREG(info.st_mode)) throw Error("cannot read " + file.string() + ": it is not a file");
  if (static_cast<std::uint64_t>(info.st_size) > limit)
    throw Error(file.string() + " is too large: " + std::to_string(info.st_size) +
                " bytes, at most " + std::to_string(limit) + " are expected");
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(info.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error("cannot read " + file.string() + ": " + std::strerror(errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace smoothcert
