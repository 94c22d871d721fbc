// CUDA's errors as exceptions: the call, the file, the line and the library's own words.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "gpu/device_memory.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {

/// Where in the program, for messages: the file's name without its folder.
inline std::string call_site(const char* call, const char* file, int line) {
  std::string name(file);
  return std::string(call) + " (" + name.substr(name.rfind('/') + 1) + ":" + std::to_string(line) +
         ")";
}

inline void check_cuda(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  const std::string text = "CUDA: " + call_site(call, file, line) + ": " +
                           cudaGetErrorName(status) + ", " + cudaGetErrorString(status);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not sticky: clear it and let the caller ask for less
    throw OutOfDeviceMemory(text);
  }
  throw Error(text);
}

}  // namespace smoothcert::gpu

#define SMOOTHCERT_CUDA(call) ::smoothcert::gpu::check_cuda((call), #call, __FILE__, __LINE__)
