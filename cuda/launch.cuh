// How a kernel is launched: <<<>>> and a check under nvcc, the SIMT emulator in the tests. Nothing
// else in the project launches a kernel.
#pragma once

#include <string>

#include "simt.cuh"

#if defined(__CUDACC__)

#include "check.hpp"

#define SMOOTHCERT_LAUNCH(kernel, grid, block, shared, stream, ...)                              \
  do {                                                                                           \
    kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__);                                \
    ::smoothcert::gpu::check_cuda(cudaGetLastError(), "launch of " #kernel, __FILE__, __LINE__); \
  } while (false)

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
inline unsigned block_threads() { return 256; }
}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu

#else

#include "emulated_launch.hpp"

#define SMOOTHCERT_LAUNCH(kernel, grid, block, shared, stream, ...) \
  static_cast<void>(stream);                                        \
  simt::emulate(#kernel, (grid), (block), (shared), [&] { kernel(__VA_ARGS__); })

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
inline unsigned block_threads() { return simt::emulation().block_threads; }
}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu

#endif

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

template <class T>
unsigned blocks_for(T work, unsigned per_block) {
  return static_cast<unsigned>((static_cast<std::uint64_t>(work) + per_block - 1) / per_block);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
