// A data set from its mirrors into a folder, every file checked before it gets its name.
#include "data/fetch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include "data/byte_source.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"
#include "util/sha256.hpp"

namespace smoothcert {
namespace {

namespace fs = std::filesystem;

/// The content of a finished download is not what it should be.
class WrongContent : public Error {
 public:
  using Error::Error;
};

/// Held while fetching into a folder, so that two processes do not write the same file.
class FolderLock {
 public:
  FolderLock(const fs::path& folder, const FetchOptions& options) {
    const fs::path file = folder / ".lock";
    fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0)
      throw Error(fmt::format("cannot write {}: {}; choose another cache with $XDG_CACHE_HOME",
                              file.string(), std::strerror(errno)));
    bool told = false;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EINTR)) {
      if (options.stop.stop_requested()) {
        ::close(fd_);
        throw Interrupted("stopped while waiting for another process to finish its download");
      }
      if (!told && options.say)
        options.say(fmt::format("waiting: another process downloads into {}", folder.string()));
      told = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  ~FolderLock() { ::close(fd_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

void remove_quietly(const fs::path& file) {
  std::error_code ignored;
  fs::remove(file, ignored);
}

std::vector<std::uint8_t> unpacked(const std::vector<std::uint8_t>& packed,
                                   const RemoteFile& file) {
  if (!file.packed_sha256.empty() && sha256_hex(packed) != file.packed_sha256)
    throw WrongContent(
        fmt::format("wrong content (SHA-256 of the .gz {})", sha256_hex(packed).substr(0, 12)));
  std::vector<std::uint8_t> bytes(file.size);
  try {
    ByteSource source(packed, file.name);
    if (!source.compressed()) throw WrongContent("wrong content (not a gzip file)");
    if (source.read(bytes) != file.size || !source.at_end())
      throw WrongContent(fmt::format("wrong content (not {} bytes)", file.size));
  } catch (const WrongContent&) {
    throw;
  } catch (const Error&) {
    throw WrongContent("wrong content (damaged gzip stream)");
  }
  if (!file.sha256.empty() && sha256_hex(bytes) != file.sha256)
    throw WrongContent(fmt::format("wrong content (SHA-256 {})", sha256_hex(bytes).substr(0, 12)));
  return bytes;
}

/// A file that is there: good, or removed with a word.
bool is_there(const RemoteFile& file, const fs::path& path, const FetchOptions& options) {
  std::error_code absent;
  const auto size = fs::file_size(path, absent);
  if (absent) return false;
  if (size == file.size && (file.sha256.empty() || sha256_hex(read_file(path)) == file.sha256))
    return true;
  if (options.say) options.say(fmt::format("{} is damaged; it is fetched again", path.string()));
  remove_quietly(path);
  return false;
}

/// A part belongs to one URL: mirrors may serve differently compressed files.
fs::path part_of(const fs::path& path, const std::string& url) {
  return path.string() + "." + sha256_hex(url).substr(0, 8) + ".part";
}

void fetch_from(const std::string& url, const std::vector<std::string>& urls,
                const RemoteFile& file, const fs::path& path, const FetchOptions& options) {
  const fs::path part = part_of(path, url);
  DownloadLimits limits = options.limits;
  limits.most_bytes = std::min(limits.most_bytes, file.size + file.size / 100 + 4096);
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    if (options.progress) options.progress(file.name + ".gz", done, total);
  };
  for (;;) {
    std::error_code absent;
    const auto had = fs::file_size(part, absent);
    const bool resumed = !absent && had > 0;
    try {
      download(url, part, limits, progress, options.stop);
      write_file_atomically(path, unpacked(read_file(part), file));
      for (const std::string& any : urls) remove_quietly(part_of(path, any));
      return;
    } catch (const WrongContent&) {
      remove_quietly(part);
      if (!resumed) throw;  // what was resumed may have begun as another file: once more
    } catch (const Error&) {
      if (fs::file_size(part, absent) == 0 && !absent) remove_quietly(part);
      throw;
    }
  }
}

}  // namespace

void fetch_remote_data_set(const RemoteDataSet& set, const fs::path& folder,
                           const FetchOptions& options) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed)
    throw Error(fmt::format("cannot create {}: {}; choose another cache with $XDG_CACHE_HOME",
                            folder.string(), failed.message()));
  const FolderLock lock(folder, options);
  for (const RemoteFile& file : set.files) {
    if (!(file.train ? options.train : options.test)) continue;
    const fs::path path = folder / file.name;
    if (is_there(file, path, options)) continue;
    std::vector<std::string> urls, problems;
    for (const std::string& mirror : set.mirrors) urls.push_back(mirror + file.name + ".gz");
    bool done = false;
    for (const std::string& url : urls) {
      try {
        fetch_from(url, urls, file, path, options);
        if (options.say) options.say(fmt::format("downloaded {}", url));
        done = true;
        break;
      } catch (const Interrupted&) {
        throw;
      } catch (const Error& error) {
        problems.push_back(fmt::format("{}: {}", url, error.what()));
      }
    }
    if (!done)
      throw Error(fmt::format("download of {} failed: {}", set.name, fmt::join(problems, "; ")));
  }
}

}  // namespace smoothcert
