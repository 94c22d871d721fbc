// One URL into one file (libcurl): resumed, bounded, and given up where it stalls.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

namespace smoothcert {

struct DownloadLimits {
  int connect_seconds = 15;
  int stall_seconds = 30;  ///< given up where less than `slowest` arrives for so long
  int slowest = 256;       ///< bytes a second
  std::uint64_t most_bytes = std::uint64_t{1} << 30;  ///< a larger file is refused
};

/// Bytes that are there and bytes expected (0 while unknown).
using DownloadProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Fetches `url` (http or https) into `part`, going on where an earlier try stopped: whatever
/// `part` holds is taken for the beginning of the same file, so the caller must check the whole. A
/// connection that breaks after it brought something is taken up again. What came stays in `part`
/// whether this returns or throws.
/// Throws Error with a few words and no URL; Interrupted where `stop` asked for it.
void download(const std::string& url, const std::filesystem::path& part,
              const DownloadLimits& limits, const DownloadProgress& progress, std::stop_token stop);

}  // namespace smoothcert
