// The simulated machine from inside: what CUDA's, cuDNN's and cuBLAS's stand-ins share. Without
// CUDA's headers, since the emulator brings its own built-in types.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "machine.hpp"

struct CUstream_st;

namespace simulated {

/// Every stand-in holds it for the length of a call. Work that a call sets off runs under it, too:
/// one thing at a time, whatever the number of host threads.
std::unique_lock<std::recursive_mutex> enter();

enum class Verdict { go_on, no_memory, lost };

/// First thing in every call that can fail: counts it, runs some of the waiting work where the
/// order is shuffled, and says whether the call is the one to fail.
Verdict begin_call();
/// The same for an allocation.
Verdict begin_allocation();

/// Something that real CUDA would not forgive, or not promise.
void complain(const std::string& text);

/// Machine::refused_algorithms, and those that have refused.
std::size_t refused_algorithms();
std::vector<std::array<int, 3>>& refused_so_far();

int current_gpu();
/// For the calling thread, as in a new program.
void make_first_current();
/// The stream's GPU; -1 for no stream of this machine.
int gpu_of(CUstream_st* stream);
bool capturing(CUstream_st* stream);
/// Whether the calling thread captures a stream, which forbids it to allocate or to wait.
bool thread_captures();
/// The next end of capture of this thread's stream fails.
void spoil_capture();

/// Queues work on the stream, or adds it to the graph that captures it.
void enqueue(CUstream_st* stream, std::function<void()> work);
/// Runs what is queued up to the count (see queued()), and of no other stream.
void run_until(CUstream_st* stream, std::uint64_t count);
std::uint64_t queued(CUstream_st* stream);
void run_gpu(int gpu);

/// Complains unless the bytes lie within one live array of the GPU.
bool check_array(int gpu, const void* at, std::size_t bytes, const char* what);

void* allocate_on(int gpu, std::size_t bytes);  ///< null: no room
bool release(void* at);                         ///< false: no live array begins there
std::size_t free_on(int gpu);

void* allocate_pinned(std::size_t bytes);
bool release_pinned(void* at);

/// Handles are counted, by kind, so that a leak has a name.
void count_handle(const char* kind, int change);

std::uint64_t random_number();
const Machine& machine();
Tally& tallied();
bool lost();

CUstream_st* make_stream(int gpu);
void destroy_stream(CUstream_st* stream);
using Work = std::vector<std::function<void()>>;
bool begin_capture(CUstream_st* stream);
/// Null where the capture was spoiled.
std::shared_ptr<const Work> end_capture(CUstream_st* stream);

}  // namespace simulated
