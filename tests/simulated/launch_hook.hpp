// Kernel launches on the simulated machine; cuda/runtime/launch.cuh includes it. Without CUDA's
// headers, whose built-in types are the emulator's here.
#pragma once

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>

#include "engine.hpp"

struct CUstream_st;

namespace simulated {

/// Compute capability of the current GPU, 90 for 9.0.
int architecture();

struct Call {
  const char *text, *file;
  int line;
};

/// cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), checked.
void allow_shared(const void* function, std::size_t bytes, const Call& call);

/// A kernel with copies of its arguments, as a launch takes them.
template <class... Parameters, class... Arguments>
std::function<void()> bound(void (*kernel)(Parameters...), const Arguments&... arguments) {
  return [kernel, values = std::tuple<std::decay_t<Parameters>...>(arguments...)] {
    std::apply(kernel, values);
  };
}

/// Queues the kernel; throws as check_cuda() does.
void launch(CUstream_st* stream, const void* function, dim3 grid, dim3 block, std::size_t shared,
            std::function<void()> body, const Call& call);

}  // namespace simulated
