// Where images come from: a folder, the environment, the cache, a download, or drawn by the
// program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/dataset.hpp"

namespace smoothcert {

struct DataRequest {
  /// "mnist", "fashion-mnist", "cifar10", "cifar100", "digits", "" (= whatever `dir` holds, else
  /// MNIST), or the path of a folder, which is then `dir`.
  std::string name;
  /// Where given, nothing but this folder is looked at.
  std::filesystem::path dir;
  /// The caller asked for this data set by name; `digits` never stands in for it. A name or a
  /// folder that is given counts as asked for anyway.
  bool explicitly_requested = false;
  bool allow_download = true;  ///< MNIST and Fashion-MNIST, into the cache
  std::string mirror;  ///< base URL to download from instead of the built-in ones; the hashes hold
  bool allow_digits = false;                 ///< where nothing was asked for and nothing can be had
  bool need_train = true, need_test = true;  ///< a split that is not needed is left empty
  /// Of IDX and NumPy files that are no data set known by name: their labels alone cannot say. 0 is
  /// at least ten, or as many as the labels need.
  int classes = 0;
  bool round_to_lattice = false;  ///< accept float images, rounded to n/255 (see Dataset)
  std::uint64_t digits_seed = 0;
  int digits_train = 10000, digits_test = 2000;
  /// Told every line of DataPair::note as it is known.
  std::function<void(std::string_view line)> say;
  /// Progress of a download; total is 0 while unknown.
  std::function<void(std::string_view file, std::uint64_t done, std::uint64_t total)> progress;
  std::stop_token stop;  ///< ends a download with Interrupted; the next one goes on from there
};

struct DataPair {
  Dataset train, test;
  std::string note;       ///< where the images came from, one line a step
  bool stand_in = false;  ///< `digits` stands in for MNIST: its figures are not MNIST's
};

/// Finds and reads a data set. Looks, in this order, at `dir`; $SMOOTHCERT_DATA; the cache; a
/// download; and, where allowed, draws `digits`. A place that lacks the files is passed over with a
/// line in the note; files that are there and damaged are an Error. Folders may hold the files
/// themselves or a folder named after the data set: IDX files with or without .gz, CIFAR's binary
/// files, or {train,test}.npz, or {train,test}-{images,labels}.npy.
/// Throws UsageError for an unknown name, Error for data that is missing or damaged.
DataPair load_data(const DataRequest& request);

/// Downloads the splits that `request` needs of "mnist" or "fashion-mnist" into the cache, unless
/// they are there and sound, and returns their folder. Every file is checked by SHA-256 before it
/// gets its name. Throws UsageError where no download is known, Error naming what each mirror
/// answered, Interrupted.
std::filesystem::path fetch_data(const DataRequest& request);

/// The names load_data() knows.
std::vector<std::string> data_set_names();

/// $XDG_CACHE_HOME/smoothcert, or ~/.cache/smoothcert. Throws Error where neither is set.
std::filesystem::path default_cache_dir();

}  // namespace smoothcert
