// cuDNN's and cuBLAS's errors as exceptions: the call, the file, the line, the library's own words.
#pragma once

#include "cuda/runtime/check.hpp"

#if defined(SMOOTHCERT_HAVE_CUDNN)
#include <cudnn.h>

namespace smoothcert::gpu {

inline void check_cudnn(cudnnStatus_t status, const char* call, const char* file, int line) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::string text = "cuDNN: " + call_site(call, file, line) + ": " + cudnnGetErrorString(status);
  char more[512] = "";
  cudnnGetLastErrorString(more, sizeof more);
  if (more[0] != '\0') text += std::string(", ") + more;
  // CUDNN_STATUS_ALLOC_FAILED is the host's memory.
  if (status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) throw OutOfDeviceMemory(text);
  throw Error(text);
}

}  // namespace smoothcert::gpu

#define SMOOTHCERT_CUDNN(call) ::smoothcert::gpu::check_cudnn((call), #call, __FILE__, __LINE__)
#endif

#if defined(SMOOTHCERT_HAVE_CUBLAS)
#include <cublas_v2.h>

namespace smoothcert::gpu {

inline void check_cublas(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string text = "cuBLAS: " + call_site(call, file, line) + ": " +
                           cublasGetStatusName(status) + ", " + cublasGetStatusString(status);
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw OutOfDeviceMemory(text);
  throw Error(text);
}

}  // namespace smoothcert::gpu

#define SMOOTHCERT_CUBLAS(call) ::smoothcert::gpu::check_cublas((call), #call, __FILE__, __LINE__)
#endif
