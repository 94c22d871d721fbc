// How a kernel is launched: <<<>>> and a check under nvcc; in the tests the SIMT emulator at once,
// or a simulated GPU's stream. Nothing else in the project launches a kernel.
#pragma once

#include <string>

#include "cuda/runtime/simt.cuh"

#if defined(__CUDACC__)

#include "cuda/runtime/check.hpp"

#define SMOOTHCERT_LAUNCH(kernel, grid, block, shared, stream, ...)                              \
  do {                                                                                           \
    kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__);                                \
    ::smoothcert::gpu::check_cuda(cudaGetLastError(), "launch of " #kernel, __FILE__, __LINE__); \
  } while (false)

/// Before a launch with more than 48 KiB of dynamic shared memory.
#define SMOOTHCERT_ALLOW_SHARED(kernel, bytes)                                              \
  SMOOTHCERT_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, \
                                       static_cast<int>(bytes)))

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
inline unsigned block_threads() { return 256; }

/// Compute capability (90 for 9.0) for which this kernel's code, as the current device runs it, was
/// compiled: less than the device's where only an older one's PTX was built in.
template <class Kernel>
int compiled_for(Kernel kernel) {
  cudaFuncAttributes attributes{};
  SMOOTHCERT_CUDA(cudaFuncGetAttributes(&attributes, kernel));
  return attributes.ptxVersion;
}
}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu

#elif defined(SMOOTHCERT_SIMULATED_GPU)

#include "launch_hook.hpp"

#define SMOOTHCERT_LAUNCH(kernel, grid, block, shared, stream, ...)                                \
  ::simulated::launch((stream), reinterpret_cast<const void*>(+kernel), (grid), (block), (shared), \
                      ::simulated::bound(+kernel, __VA_ARGS__),                                    \
                      {"launch of " #kernel, __FILE__, __LINE__})
#define SMOOTHCERT_ALLOW_SHARED(kernel, bytes)                               \
  ::simulated::allow_shared(reinterpret_cast<const void*>(+kernel), (bytes), \
                            {"cudaFuncSetAttribute(" #kernel ", …)", __FILE__, __LINE__})

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
inline unsigned block_threads() { return 256; }
template <class Kernel>
int compiled_for(Kernel) {
  return ::simulated::architecture();
}
}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu

#else

#include "emulated_launch.hpp"

#define SMOOTHCERT_LAUNCH(kernel, grid, block, shared, stream, ...) \
  static_cast<void>(stream);                                        \
  simt::emulate(#kernel, (grid), (block), (shared), [&] { kernel(__VA_ARGS__); })
#define SMOOTHCERT_ALLOW_SHARED(kernel, bytes) static_cast<void>(bytes)

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
inline unsigned block_threads() { return simt::emulation().block_threads; }
}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu

#endif

/// The block widths of a GPU; the emulator's own tests run narrower ones.
#if defined(__CUDACC__) || defined(SMOOTHCERT_SIMULATED_GPU)
#define SMOOTHCERT_DEVICE_WIDTHS 1
#endif

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

template <class T>
unsigned blocks_for(T work, unsigned per_block) {
  return static_cast<unsigned>((static_cast<std::uint64_t>(work) + per_block - 1) / per_block);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
