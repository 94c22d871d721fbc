// The data sets that can be downloaded: their files, mirrors and hashes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"

namespace smoothcert {

/// A gzip file at a mirror. What is kept is its content, once the hashes below agree.
struct RemoteFile {
  std::string name;           ///< of the uncompressed file; the mirror has `name`.gz
  bool train = false;         ///< belongs to the training split
  std::uint64_t size = 0;     ///< of the uncompressed file
  std::string sha256;         ///< of the uncompressed file; "" = not pinned
  std::string packed_sha256;  ///< of the .gz file; "" = not pinned (mirrors may compress anew)
};

struct RemoteDataSet {
  std::string name;
  std::vector<std::string> mirrors;  ///< base URLs that end in '/', tried in this order
  std::vector<RemoteFile> files;
};

/// nullptr where the data set cannot be downloaded.
const RemoteDataSet* find_remote_data_set(const std::string& name);

/// The data set whose published images these are, whatever they are called; "" where that is not
/// known. `packed` is the .gz file that they came from, where they did: not every sum of what is in
/// them was published.
std::string known_images(const Dataset& data, const std::filesystem::path& packed);

}  // namespace smoothcert
