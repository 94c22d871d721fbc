// How far a long run is, beside its store, for whoever asks from another shell or another machine.
#include "progress_file.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"

namespace smoothcert::cli {
namespace {

std::filesystem::path progress_of(const std::filesystem::path& store) {
  return store.string() + "-progress";
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

ProgressFile::ProgressFile(const std::filesystem::path& store, std::string activity)
    : file_(progress_of(store)), activity_(std::move(activity)) {}

ProgressFile::~ProgressFile() {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

void ProgressFile::update(ProgressState state) {
  constexpr auto kInterval = std::chrono::milliseconds(900);
  const auto now = std::chrono::steady_clock::now();
  if (last_ != std::chrono::steady_clock::time_point{} && now - last_ < kInterval) return;
  last_ = now;
  try {
    write_file_atomically(file_,
                          std::string_view(nlohmann::json{{"activity", activity_},
                                                          {"host", host_name()},
                                                          {"pid", getpid()},
                                                          {"run", state.run},
                                                          {"runs", state.runs},
                                                          {"images_done", state.images_done},
                                                          {"images_total", state.images_total},
                                                          {"samples_done", state.samples_done},
                                                          {"samples_total", state.samples_total},
                                                          {"seconds", state.seconds},
                                                          {"written", std::time(nullptr)}}
                                               .dump() +
                                           "\n"));
  } catch (const Error&) {  // the disk is full: the store will say so
  }
}

std::optional<ProgressState> read_progress(const std::filesystem::path& store) {
  constexpr std::size_t kMost = 65536;
  try {
    const auto bytes = read_file(progress_of(store), kMost);
    const auto json = nlohmann::json::parse(bytes.begin(), bytes.end());
    ProgressState state;
    state.activity = json.at("activity");
    state.host = json.at("host");
    state.pid = json.at("pid");
    state.run = json.at("run");
    state.runs = json.at("runs");
    state.images_done = json.at("images_done");
    state.images_total = json.at("images_total");
    state.samples_done = json.at("samples_done");
    state.samples_total = json.at("samples_total");
    state.seconds = json.at("seconds");
    state.written = json.at("written");
    return state;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

bool may_be_running(const ProgressState& state) {
  if (state.host != host_name() || state.pid <= 0) return true;  // another machine: who knows
  return kill(static_cast<pid_t>(state.pid), 0) == 0 || errno != ESRCH;
}

}  // namespace smoothcert::cli
