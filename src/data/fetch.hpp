// A data set from its mirrors into a folder, every file checked before it gets its name.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string_view>

#include "data/download.hpp"
#include "data/remote_sets.hpp"

namespace smoothcert {

struct FetchOptions {
  bool train = true, test = true;
  DownloadLimits limits;
  std::function<void(std::string_view line)> say;
  std::function<void(std::string_view file, std::uint64_t done, std::uint64_t total)> progress;
  std::stop_token stop;
};

/// Brings what `folder` lacks of `set` (and what it has damaged) and leaves it there uncompressed.
/// A file that could not be finished stays as `name.*.part` and is gone on with the next time.
/// Processes that fetch into the same folder wait for each other. Throws Error naming the file and
/// what each mirror answered; Interrupted.
void fetch_remote_data_set(const RemoteDataSet& set, const std::filesystem::path& folder,
                           const FetchOptions& options);

}  // namespace smoothcert
