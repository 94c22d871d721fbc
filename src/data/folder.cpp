#include "data/folder.hpp"

#include <array>
#include <system_error>
#include <vector>

#include "data/idx.hpp"

namespace smoothcert {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// The spellings under which the IDX files are around: the original, and the one with a dot.
std::optional<fs::path> find_idx(const fs::path& dir, const std::string& stem,
                                 const std::string& kind) {
  for (const char* separator : {"-", "."}) {
    for (const char* packed : {"", ".gz"}) {
      const fs::path file = dir / (stem + separator + kind + packed);
      if (is_file(file)) return file;
    }
  }
  return std::nullopt;
}

std::optional<Dataset> read_idx_split(const fs::path& dir, const char* split, int classes) {
  const std::string stem = std::string(split) == "train" ? "train" : "t10k";
  auto images = find_idx(dir, stem + "-images", "idx3-ubyte");
  if (!images) images = find_idx(dir, stem + "-images", "idx4-ubyte");
  const auto labels = find_idx(dir, stem + "-labels", "idx1-ubyte");
  if (!images || !labels) return std::nullopt;
  return dataset_from_idx(*images, *labels, classes);
}

using SplitReader = std::optional<Dataset> (*)(const fs::path& dir, const char* split,
                                               const DataRequest& request);

std::optional<Dataset> idx_split(const fs::path& dir, const char* split,
                                 const DataRequest& request) {
  return read_idx_split(dir, split, request.classes != 0 ? request.classes : 10);
}

/// Both splits that are needed, from the first folder that has them.
std::optional<DataPair> read_splits(const std::vector<fs::path>& dirs, SplitReader read,
                                    const DataRequest& request) {
  for (const fs::path& dir : dirs) {
    DataPair pair;
    bool complete = true;
    for (const bool train : {true, false}) {
      if (!(train ? request.need_train : request.need_test)) continue;
      auto split = read(dir, train ? "train" : "test", request);
      if (!split) {
        complete = false;
        break;
      }
      split->split = train ? "train" : "test";
      split->origin = dir.string();
      (train ? pair.train : pair.test) = std::move(*split);
    }
    if (complete) return pair;
  }
  return std::nullopt;
}

std::vector<fs::path> folders(const fs::path& dir, const std::string& name) {
  std::vector<fs::path> all{dir};
  if (!name.empty()) all.push_back(dir / name);
  // torchvision's layout
  if (name == "mnist" || name.empty()) all.push_back(dir / "MNIST" / "raw");
  if (name == "fashion-mnist") all.push_back(dir / "FashionMNIST" / "raw");
  return all;
}

}  // namespace

std::optional<DataPair> read_data_folder(const fs::path& dir, const std::string& name,
                                         const DataRequest& request) {
  return read_splits(folders(dir, name), idx_split, request);
}

std::string files_looked_for(const std::string&, const DataRequest& request) {
  std::string files;
  if (request.need_train) files += "train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz]";
  if (request.need_test) {
    if (!files.empty()) files += ", ";
    files += "t10k-images-idx3-ubyte[.gz], t10k-labels-idx1-ubyte[.gz]";
  }
  return files;
}

}  // namespace smoothcert
