// Recognises the data set files in a folder and reads them.
#include "data/folder.hpp"

#include <array>
#include <system_error>
#include <vector>

#include "data/cifar.hpp"
#include "data/idx.hpp"
#include "data/numpy_set.hpp"
#include "data/remote_sets.hpp"
#include "smoothcert/error.hpp"

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
  return read_idx_split(dir, split, request.classes);
}

std::optional<Dataset> numpy_split(const fs::path& dir, const char* split,
                                   const DataRequest& request) {
  return read_numpy_split(dir, split, request.classes, request.round_to_lattice);
}
std::optional<Dataset> cifar10_split(const fs::path& dir, const char* split, const DataRequest&) {
  return read_cifar_split(dir, split, 10);
}
std::optional<Dataset> cifar100_split(const fs::path& dir, const char* split, const DataRequest&) {
  return read_cifar_split(dir, split, 100);
}
std::optional<Dataset> cifar10_python_split(const fs::path& dir, const char* split,
                                            const DataRequest&) {
  return read_cifar_python_split(dir, split, 10);
}
/// Files named "train" and "test" may be anything; their folder says what they are.
std::optional<Dataset> cifar100_python_split(const fs::path& dir, const char* split,
                                             const DataRequest&) {
  if (dir.filename() != "cifar-100-python") return std::nullopt;
  return read_cifar_python_split(dir, split, 100);
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
      if (split->rounded_to_lattice) split->origin += " (pixels rounded to multiples of 1/255)";
      (train ? pair.train : pair.test) = std::move(*split);
    }
    if (complete) return pair;
  }
  return std::nullopt;
}

/// Throws Error where these are the images of another data set that is known: $SMOOTHCERT_DATA may
/// point anywhere, and results would be kept under a name that is not theirs.
void refuse_another(const Dataset& data, const std::string& name) {
  if (name.empty()) return;
  const auto file =
      find_idx(data.origin, data.split == "train" ? "train-images" : "t10k-images", "idx3-ubyte");
  const std::string is =
      known_images(data, file && file->extension() == ".gz" ? *file : fs::path());
  if (!is.empty() && is != name)
    throw Error(data.origin + ": these are the images of " + is + ", not of " + name +
                "; ask for them by their name, or give the folder of the others");
}

std::vector<fs::path> folders(const fs::path& dir, const std::string& name) {
  std::vector<fs::path> all{dir};
  if (!name.empty()) all.push_back(dir / name);
  // torchvision's layout, and what the authors' archives unpack to
  if (name == "mnist" || name.empty()) all.push_back(dir / "MNIST" / "raw");
  if (name == "fashion-mnist") all.push_back(dir / "FashionMNIST" / "raw");
  if (name == "cifar10" || name.empty())
    for (const char* folder : {"cifar-10-batches-bin", "cifar-10-batches-py"})
      all.push_back(dir / folder);
  if (name == "cifar100" || name.empty())
    for (const char* folder : {"cifar-100-binary", "cifar-100-python"}) all.push_back(dir / folder);
  return all;
}

/// A data set with a name comes in its own format; a folder may hold any.
std::vector<SplitReader> readers(const std::string& name) {
  if (name == "cifar10") return {cifar10_split, cifar10_python_split};
  if (name == "cifar100") return {cifar100_split, cifar100_python_split};
  if (!name.empty()) return {idx_split};
  return {idx_split,  cifar10_split, cifar100_split, cifar10_python_split, cifar100_python_split,
          numpy_split};
}

}  // namespace

std::optional<DataPair> read_data_folder(const fs::path& dir, const std::string& name,
                                         const DataRequest& request) {
  for (const SplitReader reader : readers(name))
    if (auto pair = read_splits(folders(dir, name), reader, request)) {
      if (request.need_train) refuse_another(pair->train, name);
      if (request.need_test) refuse_another(pair->test, name);
      return pair;
    }
  return std::nullopt;
}

std::string files_looked_for(const std::string& name, const DataRequest& request) {
  if (name == "cifar10")
    return "data_batch_1.bin … data_batch_5.bin, test_batch.bin, or the same without .bin in "
           "cifar-10-batches-py";
  if (name == "cifar100") return "train.bin, test.bin, or train and test in cifar-100-python";
  std::string files;
  if (request.need_train) files += "train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz]";
  if (request.need_test) {
    if (!files.empty()) files += ", ";
    files += "t10k-images-idx3-ubyte[.gz], t10k-labels-idx1-ubyte[.gz]";
  }
  if (name.empty())
    files +=
        "; or CIFAR's binary or Python files, or {train,test}.npz, or "
        "{train,test}-{images,labels}.npy";
  return files;
}

}  // namespace smoothcert
