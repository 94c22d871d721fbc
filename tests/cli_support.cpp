// Starts the program, waits for it, and writes the toy study it works on.
#include "cli_support.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "data_support.hpp"
#include "places_support.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert::test {

namespace {

namespace fs = std::filesystem;

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

// Between fork and exec: only what is safe there. `file_limit` bounds every file it writes.
[[noreturn]] void become(const char* program, char* const* arguments, const char* folder,
                         const char* out, const char* err, std::uint64_t file_limit) {
  if (file_limit > 0) {
    const rlimit limit{file_limit, file_limit};
    setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, SIG_IGN);  // write() fails with EFBIG, as it would with ENOSPC
  }
  const int out_file = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err_file = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int in_file = open("/dev/null", O_RDONLY);
  if (out_file < 0 || err_file < 0 || in_file < 0 || chdir(folder) != 0) _exit(126);
  dup2(in_file, 0);
  dup2(out_file, 1);
  dup2(err_file, 2);
  execvp(program, arguments);
  _exit(127);
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> parts;
  for (std::string word; in >> word;) parts.push_back(word);
  return parts;
}

}  // namespace

RunningProgram::RunningProgram(const fs::path& folder, const std::vector<std::string>& arguments,
                               std::uint64_t file_limit, const std::vector<std::string>& launcher) {
  static std::atomic<int> counter = 0;
  const std::string stem = ".run-" + std::to_string(counter++);
  out_ = folder / (stem + ".out");
  err_ = folder / (stem + ".err");
  std::vector<std::string> all = launcher;
  all.push_back(test::program().string());
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> raw;
  for (auto& word : all) raw.push_back(word.data());
  raw.push_back(nullptr);
  started_ = now_us();
  pid_ = fork();
  if (pid_ == 0) {
    become(raw.front(), raw.data(), folder.c_str(), out_.c_str(), err_.c_str(), file_limit);
  }
  if (pid_ < 0) throw std::runtime_error("fork");
}

RunningProgram::~RunningProgram() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void RunningProgram::send(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

bool RunningProgram::running() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

bool RunningProgram::runs_until(const std::function<bool()>& condition) const {
  while (running()) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

Outcome RunningProgram::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  Outcome outcome;
  outcome.seconds = static_cast<double>(now_us() - started_) * 1e-6;
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  outcome.out = file_text(out_);
  outcome.err = file_text(err_);
  return outcome;
}

Outcome CliTest::run(const std::vector<std::string>& arguments, std::uint64_t file_limit) const {
  const ScopedEnvironment home("HOME", folder_.path("home").string());
  const ScopedEnvironment cache("XDG_CACHE_HOME", std::nullopt);
  const ScopedEnvironment data("SMOOTHCERT_DATA", std::nullopt);
  return RunningProgram(folder_.path(), arguments, file_limit).wait();
}

Outcome CliTest::run(const std::string& arguments) const { return run(words(arguments)); }

std::string CliTest::ok(const std::string& arguments) const {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.code, 0) << "smoothcert " << arguments << "\n" << outcome.err;
  return outcome.out;
}

std::string CliTest::fails(int code, const std::string& arguments) const {
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.code, code) << "smoothcert " << arguments << "\n" << outcome.out << outcome.err;
  EXPECT_EQ(outcome.out, "") << "smoothcert " << arguments;
  // Chatter (which device, which data) may come first; the error is the last line, and one line.
  std::string last, line;
  std::istringstream in(outcome.err);
  std::size_t errors = 0;
  while (std::getline(in, line)) {
    last = line;
    errors += line.starts_with("smoothcert: ") ? 1 : 0;
  }
  EXPECT_TRUE(last.starts_with("smoothcert: ")) << outcome.err;
  EXPECT_EQ(errors, 1u) << outcome.err;
  return last;
}

Outcome CliTest::stopped(const std::string& arguments, int signal,
                         const std::function<bool()>& begun, const std::string& result) const {
  const ScopedEnvironment home("HOME", folder_.path("home").string());
  for (int attempt = 0; attempt < 20; ++attempt) {
    RunningProgram program(folder_.path(), words(arguments));
    program.runs_until(begun);
    program.send(signal);
    Outcome outcome = program.wait();
    if (outcome.code > 0) return outcome;
    remove(result);
  }
  ADD_FAILURE() << "could not be stopped in its middle: " << arguments;
  return {};
}

bool CliTest::has_run(const std::string& store) const {
  try {
    return !ResultsStore::open(path(store), ResultsStore::Access::read_only)->runs().empty();
  } catch (const Error&) {
    return false;  // not there yet, or being made
  }
}

std::size_t CliTest::stored(const std::string& store) const {
  try {
    const auto opened = ResultsStore::open(path(store), ResultsStore::Access::read_only);
    std::size_t rows = 0;
    for (const RunInfo& run : opened->runs())
      rows += opened->certificates(run.id).size() + opened->chunks(run.id).size();
    return rows;
  } catch (const Error&) {
    return 0;
  }
}

void CliTest::remove(const std::string& result) const {
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove_all(path(result + suffix));
}

void CliTest::write_toy_study() const {
  const fs::path data = path("data");
  fs::create_directories(data);
  std::mt19937 random(5);
  for (const char* stem : {"train", "t10k"}) {
    constexpr std::uint32_t kImages = 40;
    Bytes pixels, labels;
    for (std::uint32_t i = 0; i < kImages; ++i) {
      labels.push_back(static_cast<Label>(i * 7 % 10));
      for (std::uint32_t p = 0; p < 16; ++p)
        pixels.push_back(
            static_cast<Label>(p == labels.back() ? 220 + random() % 36 : random() % 20));
    }
    write_bytes(data / (std::string(stem) + "-images-idx3-ubyte"),
                idx_bytes({kImages, 4, 4}, pixels));
    write_bytes(data / (std::string(stem) + "-labels-idx1-ubyte"), idx_bytes({kImages}, labels));
  }
  const std::string description =
      R"({"name": "toy", "input": [1, 4, 4], "classes": 10,
          "layers": [{"op": "flatten"}, {"op": "linear", "name": "fc1", "out_features": 10}]})";
  write_text(path("toy.json"), description);
  Network network = initialise(parse_network_spec(description, "toy.json"), 1);
  for (auto& [name, tensor] : network.tensors) {
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      tensor.data[i] = name == "fc1.weight" && i % 16 == i / 16 ? 4.0f : 0.0f;
    }
  }
  network.record.regime = "smoothing";
  network.record.sigma = 0.5;
  save_network(network, path("toy.safetensors"));
}

std::string CliTest::dump(const std::string& store) const {
  return ResultsStore::open(path(store), ResultsStore::Access::read_only)->canonical_dump();
}

}  // namespace smoothcert::test
