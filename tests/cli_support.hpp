// Runs the real program in a folder of its own, and a toy study small enough to do so often.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "store_support.hpp"

namespace smoothcert::test {

struct Outcome {
  int code = -1;   ///< exit code; −1 where a signal ended it
  int signal = 0;  ///< that ended it
  double seconds = 0;
  std::string out, err;
};

/// A started program, for those that are to be interrupted.
class RunningProgram {
 public:
  RunningProgram(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
                 std::uint64_t file_limit = 0, const std::vector<std::string>& launcher = {});
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  void send(int signal) const;
  /// Whether it has not ended yet.
  [[nodiscard]] bool running() const;
  /// Looks at `condition` until it holds or the program has ended; gives whether it held.
  bool runs_until(const std::function<bool()>& condition) const;
  Outcome wait();
  [[nodiscard]] pid_t id() const { return pid_; }

 private:
  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
  std::uint64_t started_ = 0;
};

/// A folder with a data set (`data`: 40 + 40 images of 1×4×4, ten classes: one bright pixel each),
/// a linear model that knows them (`toy.safetensors`), and the program. Skips where it is not
/// built.
class CliTest {
 public:
  /// In the folder, nothing else of the environment that matters: no cache, no download.
  [[nodiscard]] Outcome run(const std::vector<std::string>& arguments,
                            std::uint64_t file_limit = 0) const;
  /// The same, words separated by spaces.
  [[nodiscard]] Outcome run(const std::string& arguments) const;
  /// Expects exit code 0; gives what stdout got.
  std::string ok(const std::string& arguments) const;
  /// Expects `code`, an empty stdout, and one line on stderr; gives that line.
  std::string fails(int code, const std::string& arguments) const;

  /// Sends `signal` once the command has `begun`, that is, left something to see; where it ended
  /// before that arrived, begins again without `result`, a store or a folder it made.
  Outcome stopped(const std::string& arguments, int signal, const std::function<bool()>& begun,
                  const std::string& result) const;
  /// Whether the store is there and holds a run.
  [[nodiscard]] bool has_run(const std::string& store) const;
  /// Certificates and chunks of the store; 0 where there is none.
  [[nodiscard]] std::size_t stored(const std::string& store) const;
  /// Removes a store with its side files, or a folder.
  void remove(const std::string& result) const;

  void write_toy_study() const;
  [[nodiscard]] std::filesystem::path path(const std::string& name = "") const {
    return folder_.path(name);
  }
  [[nodiscard]] std::string dump(const std::string& store) const;

 private:
  TemporaryFolder folder_;
};

}  // namespace smoothcert::test
