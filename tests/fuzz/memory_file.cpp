// A file in memory, for parsers that want a path.
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.hpp"

namespace smoothcert::fuzz {

MemoryFile::MemoryFile(Bytes bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
  require(fd_ >= 0);
  require(::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

MemoryFile::~MemoryFile() { ::close(fd_); }

}  // namespace smoothcert::fuzz
