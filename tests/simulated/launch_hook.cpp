// What a simulated GPU allows a kernel: which architecture it is built for, how much shared memory.
#include "launch_hook.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "launch_errors.hpp"
#include "queue.hpp"

namespace simulated {
namespace {

/// Dynamic shared memory that was asked for, by GPU and kernel.
std::map<std::pair<int, const void*>, std::size_t>& allowed() {
  static std::map<std::pair<int, const void*>, std::size_t> bytes;
  return bytes;
}

constexpr std::size_t kPlainShared = 48 << 10;

}  // namespace

int architecture() {
  const auto lock = enter();
  const Gpu& gpu = machine().gpus[static_cast<std::size_t>(current_gpu())];
  return 10 * gpu.major + gpu.minor;
}

void allow_shared(const void* function, std::size_t bytes, const Call& call) {
  const auto lock = enter();
  const int gpu = current_gpu();
  if (begin_call() != Verdict::go_on) throw_lost(call.text, call.file, call.line);
  if (bytes > machine().gpus[static_cast<std::size_t>(gpu)].shared_per_block) {
    throw_invalid_value(call.text, call.file, call.line);
  }
  allowed()[{gpu, function}] = bytes;
}

void launch(CUstream_st* stream, const void* function, dim3 grid, dim3 block, std::size_t shared,
            std::function<void()> body, const Call& call) {
  const auto lock = enter();
  if (begin_call() != Verdict::go_on) throw_lost(call.text, call.file, call.line);
  const int gpu = gpu_of(stream);
  if (gpu < 0 || gpu != current_gpu()) {
    complain(std::string(call.text) + ": the stream is not the current GPU's");
    throw_invalid_handle(call.text, call.file, call.line);
  }
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  const auto asked = allowed().find({gpu, function});
  const std::size_t most =
      asked == allowed().end() ? kPlainShared : std::max(asked->second, kPlainShared);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535 || threads == 0 || threads > 1024 || block.z > 64 || shared > most) {
    complain(std::string(call.text) + ": an impossible shape");
    throw_invalid_configuration(call.text, call.file, call.line);
  }
  const std::uint64_t seed = machine().order == Order::at_once ? 0 : random_number() | 1;
  enqueue(stream, [=, body = std::move(body), text = std::string(call.text)] {
    ++tallied().launches;
    ++tallied().launches_of[static_cast<std::size_t>(gpu)];
    try {
      simt::launch({grid, block, shared, seed, "", true}, body);
    } catch (const simt::Error& error) {
      throw simt::Error(text + ": " + error.what());
    }
  });
}

}  // namespace simulated
