// A machine with simulated GPUs: CUDA's runtime, cuDNN and cuBLAS as far as the CUDA backend uses
// them, without a driver. The backend's host code is compiled for it as it stands, its kernels run
// in the SIMT emulator, so that streams, events, graphs, libraries, several GPUs and failures are
// tested where no GPU is.
//
// What it is strict about, beyond the results:
//  - work waits in its stream until something waits for it (Order::at_last), or runs at any moment
//    in between (Order::shuffled): what relies on luck reads NaN or yesterday's bytes;
//  - device memory is out of the host's reach, and of kernels of other GPUs; arrays end at an
//    inaccessible page, freed ones stay inaccessible; fresh ones hold NaN;
//  - copies, matrices and workspaces must lie within one live array of the stream's own GPU;
//  - a launch needs its GPU to be current, a grid within the limits, and more than 48 KiB of shared
//    memory allowed beforehand; a capture breaks where the real one would;
//  - convolutions offer algorithms that are not deterministic or not fp32, and say so.
// What it does not model: timing, weak memory, concurrency within one GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simulated {

struct Gpu {
  std::string name = "Simulated GPU";
  int major = 9, minor = 0;
  int multiprocessors = 2;
  std::size_t shared_per_block = 232448;      ///< bytes, opted in
  std::size_t memory = std::size_t{1} << 30;  ///< bytes
};

/// When queued work runs: when queued, when somebody waits for it, or at random moments between.
enum class Order { at_once, at_last, shuffled };

struct Machine {
  std::vector<Gpu> gpus{Gpu{}};
  bool driver = true;
  Order order = Order::at_last;
  std::uint64_t seed = 1;
  std::uint64_t no_memory_at = 0;  ///< the n-th allocation (1: the first) finds no memory
  std::uint64_t lost_at = 0;       ///< from the n-th call on, every GPU is lost
  /// So many of the algorithms that cuDNN lists refuse when they are called, the first first.
  std::size_t refused_algorithms = 0;
};

/// Replaces the machine. What the last one still holds is a complaint.
void set_machine(const Machine& machine);

/// Since set_machine().
struct Tally {
  std::uint64_t calls = 0;  ///< that can fail
  std::uint64_t allocations = 0;
  std::uint64_t launches = 0;  ///< kernels run, those of graphs among them
  std::uint64_t products = 0;  ///< convolutions and matrix products run by the libraries
  std::uint64_t captures = 0, graph_launches = 0;
  std::uint64_t waits = 0;  ///< calls that block the host until a stream is done
  std::vector<std::uint64_t> launches_of, arrays_of;  ///< kernels and allocated arrays by GPU
  std::size_t memory_in_use = 0;                      ///< bytes, all GPUs and pinned host memory
  std::uint64_t handles = 0;  ///< streams, events, graphs, library handles, descriptors
};
Tally tally();

/// What was wrong with how the machine was used, since the last call.
std::vector<std::string> complaints();

}  // namespace simulated
