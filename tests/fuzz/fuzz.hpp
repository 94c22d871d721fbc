// What every fuzz target shares. A parser may throw Error and nothing else: any other exception,
// a sanitizer's report, a second of silence or a huge allocation is a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "smoothcert/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace smoothcert::fuzz {

using Bytes = std::span<const std::uint8_t>;

template <class Action>
void expect_error_or_success(Action&& action) {
  try {
    action();
  } catch (const Error&) {
  }
}

/// A property of what was parsed; not an assert(), which release builds drop.
inline void require(bool holds) {
  if (!holds) std::abort();
}

inline std::string text_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// The bytes as a file in memory, for parsers that open a path.
class MemoryFile {
 public:
  explicit MemoryFile(Bytes bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace smoothcert::fuzz
