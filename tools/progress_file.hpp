// How far a long run is, beside its store, for whoever asks from another shell or another machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace smoothcert::cli {

struct ProgressState {
  std::string activity, host;
  std::int64_t pid = 0;
  std::uint64_t run = 0, runs = 0;  ///< the current one, from 1; 0 of 0 where there is one only
  std::uint64_t images_done = 0, images_total = 0;
  std::uint64_t samples_done = 0, samples_total = 0;  ///< of this call
  double seconds = 0;                                 ///< since it began to draw
  std::int64_t written = 0;                           ///< Unix time
};

/// What certification or a sweep says of itself, in its own type.
template <class Progress>
ProgressState progress_state(const Progress& p) {
  ProgressState state;
  state.images_done = p.images_done;
  state.images_total = p.images_total;
  state.samples_done = p.samples_done;
  state.samples_total = p.samples_total;
  state.seconds = p.seconds;
  return state;
}

/// STORE-progress: written about once a second while the object lives, removed with it. Where it
/// cannot be written nobody is told; it is a convenience.
class ProgressFile {
 public:
  ProgressFile(const std::filesystem::path& store, std::string activity);
  ~ProgressFile();
  ProgressFile(const ProgressFile&) = delete;
  ProgressFile& operator=(const ProgressFile&) = delete;

  void update(ProgressState state);

 private:
  std::filesystem::path file_;
  std::string activity_;
  std::chrono::steady_clock::time_point last_{};
};

/// What a store's progress file says; nothing where there is none or it cannot be understood.
std::optional<ProgressState> read_progress(const std::filesystem::path& store);
/// Whether the process that wrote it may still be at work: not where it was on this machine and has
/// ended.
bool may_be_running(const ProgressState& state);

}  // namespace smoothcert::cli
