#include "util/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
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

}  // namespace

void write_file_atomically(const std::filesystem::path& file, std::span<const std::uint8_t> bytes) {
  std::string temporary = file.string() + ".XXXXXX";
  Descriptor fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (fd.get() < 0)
    throw Error("cannot write " + file.string() + ": " + std::strerror(errno) +
                "; choose a folder that exists and is writable");
  const bool stored = write_all(fd.get(), bytes) && ::fchmod(fd.get(), 0644) == 0 &&
                      ::fsync(fd.get()) == 0 && fd.close() &&
                      ::rename(temporary.c_str(), file.c_str()) == 0;
  if (!stored) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw Error("cannot write " + file.string() + ": " + std::strerror(error));
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
    throw Error("cannot read " + file.string() + ": it is not a file");
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
