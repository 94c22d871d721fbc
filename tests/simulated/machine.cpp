// The machine's state: streams and their queues, captures, faults, complaints.
#include "machine.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "memory.hpp"
#include "queue.hpp"

struct CUstream_st {
  int gpu = 0;
  std::deque<std::function<void()>> waiting;
  std::uint64_t queued = 0, done = 0;
  bool capturing = false, spoiled = false;
  simulated::Work captured;
};

namespace simulated {
namespace {

/// "gpus=2 capability=8.0 order=shuffled seed=3 memory=256 lost_at=100 no_memory_at=7": programs
/// are told by their environment. Memory in MiB.
Machine machine_of_environment() {
  Machine m;
  const char* text = std::getenv("SMOOTHCERT_SIMULATED");
  std::istringstream words(text ? text : "");
  Gpu gpu;
  std::size_t gpus = 1;
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    const std::string key = word.substr(0, equals), value = word.substr(equals + 1);
    if (key == "gpus")
      gpus = std::stoul(value);
    else if (key == "capability")
      gpu.major = value[0] - '0', gpu.minor = value[2] - '0';
    else if (key == "shared")
      gpu.shared_per_block = std::stoul(value);
    else if (key == "memory")
      gpu.memory = std::stoul(value) << 20;
    else if (key == "driver")
      m.driver = value != "0";
    else if (key == "seed")
      m.seed = std::stoul(value);
    else if (key == "lost_at")
      m.lost_at = std::stoul(value);
    else if (key == "no_memory_at")
      m.no_memory_at = std::stoul(value);
    else if (key == "order" && value == "at_once")
      m.order = Order::at_once;
    else if (key == "order" && value == "at_last")
      m.order = Order::at_last;
    else if (key == "order" && value == "shuffled")
      m.order = Order::shuffled;
    else
      throw std::runtime_error("SMOOTHCERT_SIMULATED: '" + word + "'");
  }
  m.gpus.assign(gpus, gpu);
  return m;
}

/// Programs say at their end what went wrong in secret, and fail.
struct AtExit {
  ~AtExit() {
    const auto found = complaints();
    for (const std::string& line : found) {
      std::fprintf(stderr, "simulated GPU: %s\n", line.c_str());
    }
    if (!found.empty()) std::_Exit(86);
  }
};

struct State {
  std::recursive_mutex mutex;
  Machine machine = machine_of_environment();
  std::mt19937_64 rng{machine.seed};
  Tally tally = fresh(machine);
  bool lost = false, running = false;
  std::vector<std::array<int, 3>> refused;
  std::vector<std::string> complaints;
  std::set<CUstream_st*> streams;
  std::map<std::string, std::int64_t> handles;

  static Tally fresh(const Machine& m) {
    Tally t;
    t.launches_of.resize(m.gpus.size());
    t.arrays_of.resize(m.gpus.size());
    return t;
  }
};

State& state() {
  static State* s = new State;  // outlives every static object that may still use it
  static AtExit at_exit;
  return *s;
}

thread_local CUstream_st* captured_here = nullptr;

void run_one(CUstream_st* stream) {
  const auto work = std::move(stream->waiting.front());
  stream->waiting.pop_front();
  ++stream->done;
  State& s = state();
  if (s.lost) return;
  const Opened opened(stream->gpu);
  s.running = true;
  try {
    work();
  } catch (const std::exception& error) {  // the emulator's: a race, a deadlock, a wrong launch
    complain(error.what());
    s.lost = true;
  }
  s.running = false;
}

/// Some of what waits, anywhere.
void stir() {
  State& s = state();
  if (s.machine.order != Order::shuffled || s.running) return;
  std::vector<CUstream_st*> busy;
  for (CUstream_st* stream : s.streams) {
    if (!stream->waiting.empty()) busy.push_back(stream);
  }
  std::shuffle(busy.begin(), busy.end(), s.rng);
  for (CUstream_st* stream : busy) {
    for (std::uint64_t n = s.rng() % 4; n > 0 && !stream->waiting.empty(); --n) run_one(stream);
  }
}

}  // namespace

void set_machine(const Machine& machine) {
  const auto lock = enter();
  State& s = state();
  for (const auto& [kind, count] : s.handles) {
    if (count != 0) complain(std::to_string(count) + " of " + kind + " left alive");
  }
  for (const std::string& array : clear_memory()) complain(array + " left allocated");
  s.machine = machine;
  make_first_current();
  s.rng.seed(machine.seed);
  s.tally = State::fresh(machine);
  s.lost = false;
  s.refused.clear();
  s.handles.clear();
}

std::size_t refused_algorithms() { return state().machine.refused_algorithms; }
std::vector<std::array<int, 3>>& refused_so_far() { return state().refused; }

Tally tally() {
  const auto lock = enter();
  Tally t = state().tally;
  t.memory_in_use = memory_in_use();
  for (const auto& [kind, count] : state().handles) t.handles += static_cast<std::uint64_t>(count);
  return t;
}

std::vector<std::string> complaints() {
  const auto lock = enter();
  return std::exchange(state().complaints, {});
}

std::unique_lock<std::recursive_mutex> enter() { return std::unique_lock(state().mutex); }

Verdict begin_call() {
  State& s = state();
  ++s.tally.calls;
  if (s.machine.lost_at != 0 && s.tally.calls >= s.machine.lost_at) s.lost = true;
  if (s.lost) return Verdict::lost;
  stir();
  return s.lost ? Verdict::lost : Verdict::go_on;
}

Verdict begin_allocation() {
  const Verdict verdict = begin_call();
  if (verdict != Verdict::go_on) return verdict;
  State& s = state();
  return ++s.tally.allocations == s.machine.no_memory_at ? Verdict::no_memory : Verdict::go_on;
}

void complain(const std::string& text) {
  const auto lock = enter();
  if (state().complaints.size() < 100) state().complaints.push_back(text);
}

int gpu_of(CUstream_st* stream) { return state().streams.contains(stream) ? stream->gpu : -1; }
bool capturing(CUstream_st* stream) { return gpu_of(stream) >= 0 && stream->capturing; }
bool thread_captures() { return captured_here != nullptr; }
void spoil_capture() {
  if (captured_here) captured_here->spoiled = true;
}

void enqueue(CUstream_st* stream, std::function<void()> work) {
  if (stream->capturing) {
    stream->captured.push_back(std::move(work));
    return;
  }
  stream->waiting.push_back(std::move(work));
  ++stream->queued;
  if (state().machine.order == Order::at_once) run_until(stream, stream->queued);
}

void run_until(CUstream_st* stream, std::uint64_t count) {
  while (stream->done < count && !stream->waiting.empty()) run_one(stream);
}

std::uint64_t queued(CUstream_st* stream) { return stream->queued; }

void run_gpu(int gpu) {
  for (CUstream_st* stream : state().streams) {
    if (stream->gpu == gpu) run_until(stream, stream->queued);
  }
}

void count_handle(const char* kind, int change) { state().handles[kind] += change; }

std::uint64_t random_number() { return state().rng(); }
const Machine& machine() { return state().machine; }
Tally& tallied() { return state().tally; }
bool lost() { return state().lost; }

CUstream_st* make_stream(int gpu) {
  auto* stream = new CUstream_st;
  stream->gpu = gpu;
  state().streams.insert(stream);
  count_handle("stream", 1);
  return stream;
}

void destroy_stream(CUstream_st* stream) {
  run_until(stream, stream->queued);  // CUDA, too, lets a destroyed stream's work finish
  if (captured_here == stream) captured_here = nullptr;
  state().streams.erase(stream);
  delete stream;
  count_handle("stream", -1);
}

bool begin_capture(CUstream_st* stream) {
  if (stream->capturing || captured_here) return false;
  stream->capturing = true;
  stream->spoiled = false;
  stream->captured.clear();
  captured_here = stream;
  return true;
}

std::shared_ptr<const Work> end_capture(CUstream_st* stream) {
  captured_here = nullptr;
  stream->capturing = false;
  ++state().tally.captures;
  auto work = std::make_shared<const Work>(std::exchange(stream->captured, {}));
  return stream->spoiled ? nullptr : work;
}

}  // namespace simulated
