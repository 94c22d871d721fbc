// Where images come from: a folder, the environment, the cache, a download, or drawn by the
// program.
#include "smoothcert/data_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <utility>

#include "data/digits.hpp"
#include "data/fetch.hpp"
#include "data/folder.hpp"
#include "data/remote_sets.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/error.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {
namespace {

namespace fs = std::filesystem;

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

/// One file in place of a folder.
bool is_npz(const fs::path& path) {
  std::error_code ignored;
  return path.extension() == ".npz" && fs::is_regular_file(path, ignored);
}

bool is_known(const std::string& name) {
  const auto names = data_set_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// One resolution: tries places in order and keeps the note.
class Search {
 public:
  explicit Search(DataRequest request) : request_(std::move(request)) {}

  DataPair run() {
    read_name();
    if (!name_.empty()) request_.classes = 0;  // known: a model cannot say otherwise
    if (name_ == "digits") return digits(false);
    if (!request_.dir.empty()) return finish(from_given_folder(), request_.dir);
    if (const char* folder = environment("SMOOTHCERT_DATA")) {
      if (auto pair = try_folder(folder, "$SMOOTHCERT_DATA"))
        return finish(std::move(*pair), folder);
    } else {
      missing_.push_back("$SMOOTHCERT_DATA is not set");
    }
    const fs::path cache = default_cache_dir();
    if (auto pair = try_folder(cache, "the cache")) return finish(std::move(*pair), cache);
    if (auto pair = try_download()) return finish(std::move(*pair), cache / name_);
    if (may_stand_in()) return digits(true);
    throw Error(fmt::format("no data set '{}': {}; pass a folder that holds {}", name_,
                            fmt::join(missing_, "; "), files_looked_for(name_, request_)));
  }

 private:
  /// A name that is no data set may be a folder.
  void read_name() {
    if (request_.name == "digits" && !request_.dir.empty())
      throw UsageError("`digits` is drawn by the program; it is not read from a folder");
    if (!request_.name.empty() && !is_known(request_.name)) {
      std::error_code ignored;
      if (!request_.dir.empty() ||
          (!fs::is_directory(request_.name, ignored) && !is_npz(request_.name))) {
        throw UsageError(unknown_name_message("data set", request_.name, data_set_names()) +
                         "; a folder of that name does not exist either");
      }
      request_.dir = std::exchange(request_.name, "");
    }
    name_ = request_.name;
    if (name_.empty() && request_.dir.empty()) name_ = "mnist";
  }

  /// Digits are drawn unasked only where the caller has expressed no wish.
  [[nodiscard]] bool may_stand_in() const {
    return request_.allow_digits && !request_.explicitly_requested && request_.name.empty();
  }

  DataPair digits(bool stand_in) {
    DataPair pair =
        draw_digits(request_.digits_seed, request_.need_train ? request_.digits_train : 0,
                    request_.need_test ? request_.digits_test : 0);
    name_ = "digits";
    if (stand_in) {
      say("WARNING: no MNIST to be had: using `digits`, drawn by the program; the figures that "
          "follow are not MNIST's");
    }
    pair.stand_in = stand_in;
    return finish(std::move(pair), {});
  }

  DataPair from_given_folder() {
    std::error_code ignored;
    if (!fs::is_directory(request_.dir, ignored) && !is_npz(request_.dir)) {
      throw Error(fmt::format("no data in {}: there is no such folder; pass one that holds {}",
                              request_.dir.string(), files_looked_for(name_, request_)));
    }
    auto pair = read_data_folder(request_.dir, name_, request_);
    if (!pair) {
      throw Error(fmt::format("no data in {}: expected {}", request_.dir.string(),
                              files_looked_for(name_, request_)));
    }
    return std::move(*pair);
  }

  std::optional<DataPair> try_folder(const fs::path& folder, const std::string& what) {
    auto pair = read_data_folder(folder, name_, request_);
    if (!pair) {
      missing_.push_back(fmt::format("{} ({}) has no {}", what, folder.string(), name_));
      say(missing_.back());
    }
    return pair;
  }

  std::optional<DataPair> try_download() {
    if (find_remote_data_set(name_) == nullptr) return std::nullopt;
    if (!request_.allow_download) {
      missing_.emplace_back("a download was not allowed");
      return std::nullopt;
    }
    DataRequest request = request_;
    request.name = name_;
    request.say = [this](std::string_view line) { say(std::string(line)); };
    try {
      return read_data_folder(fetch_data(request), name_, request_);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      missing_.emplace_back(error.what());
      say(missing_.back());
      return std::nullopt;
    }
  }

  void say(const std::string& line) {
    if (!note_.empty()) note_ += '\n';
    note_ += line;
    if (request_.say) request_.say(line);
  }

  DataPair finish(DataPair pair, const fs::path& folder) {
    // Only a name or a folder's own name says what the images are.
    std::string name = name_;
    if (name.empty() && is_npz(folder)) name = folder.stem().string();
    if (name.empty())
      name = folder.filename().empty() ? folder.parent_path().filename().string()
                                       : folder.filename().string();
    if (request_.need_train && request_.need_test &&
        (pair.train.shape != pair.test.shape || pair.train.classes != pair.test.classes)) {
      throw Error(
          fmt::format("{}: training images of {}×{}×{}, test images of {}×{}×{}; both must "
                      "be alike",
                      pair.train.origin, pair.train.shape.channels, pair.train.shape.height,
                      pair.train.shape.width, pair.test.shape.channels, pair.test.shape.height,
                      pair.test.shape.width));
    }
    pair.train.name = pair.test.name = name;
    const Dataset& some = request_.need_test ? pair.test : pair.train;
    std::string counts;
    if (request_.need_train) counts += fmt::format("{} training", pair.train.size());
    if (request_.need_train && request_.need_test) counts += " and ";
    if (request_.need_test) counts += fmt::format("{} test", pair.test.size());
    say(fmt::format("data: {}{}{}: {} images of {}×{}×{}, {} classes", name,
                    name == "digits" ? ", " : " from ", some.origin, counts, some.shape.channels,
                    some.shape.height, some.shape.width, some.classes));
    pair.note = note_;
    return pair;
  }

  DataRequest request_;
  std::string name_, note_;
  std::vector<std::string> missing_;
};

}  // namespace

std::vector<std::string> data_set_names() {
  return {"mnist", "fashion-mnist", "cifar10", "cifar100", "digits"};
}

fs::path default_cache_dir() {
  if (const char* cache = environment("XDG_CACHE_HOME")) return fs::path(cache) / "smoothcert";
  if (const char* home = environment("HOME")) return fs::path(home) / ".cache" / "smoothcert";
  throw Error("no folder for the cache: neither $XDG_CACHE_HOME nor $HOME is set");
}

fs::path fetch_data(const DataRequest& request) {
  const auto* known = find_remote_data_set(request.name);
  if (known == nullptr)
    throw UsageError(
        fmt::format("'{}' cannot be downloaded; mnist and fashion-mnist can", request.name));
  RemoteDataSet set = *known;
  if (!request.mirror.empty())
    set.mirrors = {request.mirror.ends_with('/') ? request.mirror : request.mirror + "/"};
  const fs::path folder = default_cache_dir() / set.name;
  fetch_remote_data_set(
      set, folder,
      {request.need_train, request.need_test, {}, request.say, request.progress, request.stop});
  return folder;
}

DataPair load_data(const DataRequest& request) {
  if (!request.need_train && !request.need_test)
    throw UsageError("load_data: neither split is asked for");
  return Search(request).run();
}

}  // namespace smoothcert
