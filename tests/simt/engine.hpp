// A SIMT emulator for tests: the kernel headers under cuda/ are compiled by the host compiler and
// run here, every CUDA thread of a block as a fiber, so that kernels execute where no GPU is.
//
// What it checks beyond the result:
//  - fibers run in an order shuffled by `seed` and switch only at barriers and warp operations;
//  - shared memory is filled with NaN bytes before each block;
//  - threads that wait for each other for ever, or at different places, are an error that says
//  where;
//  - where the test is compiled with -fsanitize=thread instrumentation (see tsan_hooks.cpp) every
//    access to shared and global memory is checked for races and for reads of unwritten shared
//    memory;
//  - a barrier, named by its source line, can be left out: the mutation tests do so one at a time.
//
// What it does not model: weak memory, caches, the asynchronous proxies, timing, forward progress.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};

// CUDA's built-in variables. The scheduler sets them before it resumes a fiber.
extern thread_local uint3 threadIdx, blockIdx;
extern thread_local dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

namespace simt {

/// What the emulator found wrong with a kernel: a race, a deadlock, a divergent barrier.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Config {
  dim3 grid, block;
  std::size_t dynamic_shared = 0;    ///< bytes
  std::uint64_t seed = 0;            ///< 0: ascending order; else shuffled fibers and blocks
  std::string without_barrier = {};  ///< "file.cuh:123": that barrier is left out
  bool check_races = true;           ///< where instrumented
};

struct Report {
  std::uint64_t switches = 0;          ///< fiber switches
  std::uint64_t checked_accesses = 0;  ///< memory accesses the race checker saw; 0 without it
  std::vector<std::string> barriers;   ///< "file.cuh:123" of each __syncthreads/__syncwarp reached
};

/// Runs `kernel` once per thread of the grid, block after block. Throws Error.
Report launch(const Config& config, const std::function<void()>& kernel);

/// Whether this build instruments memory accesses.
bool race_checker_available();

/// The registers that a lane brings to a warp-wide matrix product, and those of all its lanes.
using Words = std::array<std::uint32_t, 8>;
using LaneWords = std::array<Words, 32>;

/// A place in a kernel's source.
struct Site {
  const char* file;
  int line;
};

namespace detail {

enum class BlockOp { barrier, count, all, any };
enum class WarpOp { sync, shuffle, ballot, match, matrix };

/// What the lanes of one warp operation contributed.
struct Lanes {
  std::array<std::uint64_t, 32> value{};
  std::uint32_t present = 0;
};

int block_barrier(BlockOp op, int predicate, Site site);
void named_barrier(int id, int threads, Site site);
const Lanes& warp_exchange(WarpOp op, std::uint32_t mask, std::uint64_t value, Site site);
/// The same for a whole warp and several registers a lane.
const LaneWords& warp_exchange_words(const Words& words, Site site);
unsigned lane_id();

void* static_shared(std::size_t bytes, std::size_t align, Site site);
void* dynamic_shared();

void note_atomic(const void* address, std::size_t bytes);
std::uint32_t raw_load32(const void* address);
std::uint64_t raw_load64(const void* address);
void raw_store32(void* address, std::uint32_t value);
void raw_store64(void* address, std::uint64_t value);

/// Called by the instrumentation for every load and store.
void on_access(const void* address, std::size_t bytes, bool write);

}  // namespace detail
}  // namespace simt
