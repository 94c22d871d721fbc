// cuBLAS on the simulated machine: the two products that the backend calls, computed in double,
// with the meanings of the cuBLAS documentation.
#include <cublas_v2.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "queue.hpp"
#include "tf32.hpp"

using namespace simulated;

struct cublasContext {
  int gpu = 0;
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

namespace {

float half_value(std::uint16_t bits) {
  static const std::vector<float> values = [] {
    std::vector<float> all(65536);
    for (int b = 0; b < 65536; ++b) {
      const int exponent = b >> 10 & 31, mantissa = b & 1023;
      const double size = exponent == 31  ? mantissa ? NAN : INFINITY
                          : exponent == 0 ? std::ldexp(mantissa, -24)
                                          : std::ldexp(1024 + mantissa, exponent - 25);
      all[static_cast<std::size_t>(b)] = static_cast<float>(b & 0x8000 ? -size : size);
    }
    return all;
  }();
  return values[bits];
}

struct Matrix {
  const void* at;
  bool half;
  int ld;
  bool transposed, tensor_cores;
  [[nodiscard]] double value(std::size_t row, std::size_t column) const {
    const std::size_t i = transposed ? row * static_cast<std::size_t>(ld) + column
                                     : column * static_cast<std::size_t>(ld) + row;
    if (half) return half_value(static_cast<const std::uint16_t*>(at)[i]);
    const float v = static_cast<const float*>(at)[i];
    return tensor_cores ? tf32(v) : v;
  }
  /// From the first to the last value of rows × columns (of what the product sees).
  [[nodiscard]] std::size_t bytes(int rows, int columns) const {
    const std::size_t r = static_cast<std::size_t>(transposed ? columns : rows);
    const std::size_t c = static_cast<std::size_t>(transposed ? rows : columns);
    return ((c - 1) * static_cast<std::size_t>(ld) + r) * (half ? 2 : 4);
  }
};

cublasStatus_t multiply(cublasHandle_t handle, int m, int n, int k, float alpha, const Matrix& a,
                        const Matrix& b, float beta, float* c, int ldc) {
  const auto lock = enter();
  if (begin_call() != Verdict::go_on) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (m < 0 || n < 0 || k < 0 || ldc < m || a.ld < (a.transposed ? k : m) ||
      b.ld < (b.transposed ? n : k)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const int gpu = handle->gpu;
  if (gpu_of(handle->stream) != gpu || current_gpu() != gpu) {
    complain("a cuBLAS handle used for a stream of another GPU, or where another is current");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (thread_captures() && !handle->workspace) {
    complain("cuBLAS would allocate its workspace during a capture");
    spoil_capture();
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  enqueue(handle->stream, [=, workspace = handle->workspace, bytes = handle->workspace_bytes] {
    if (!check_array(gpu, a.at, a.bytes(m, k), "a product's operand") ||
        !check_array(gpu, b.at, b.bytes(k, n), "a product's operand") ||
        !check_array(gpu, c, Matrix{c, false, ldc, false, false}.bytes(m, n),
                     "a product's result") ||
        !check_array(gpu, workspace, bytes, "a product's workspace")) {
      return;
    }
    ++tallied().products;
    for (int column = 0; column < n; ++column) {
      for (int row = 0; row < m; ++row) {
        double sum = 0;
        for (int i = 0; i < k; ++i) {
          sum += a.value(static_cast<std::size_t>(row), static_cast<std::size_t>(i)) *
                 b.value(static_cast<std::size_t>(i), static_cast<std::size_t>(column));
        }
        float& out = c[static_cast<std::size_t>(column) * static_cast<std::size_t>(ldc) +
                       static_cast<std::size_t>(row)];
        out = static_cast<float>(double{alpha} * sum + (beta == 0 ? 0.0 : double{beta} * out));
      }
    }
    if (bytes > 0) std::memset(workspace, 0xFF, 4096);  // it was used
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    default:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
  }
}
const char* cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_ALLOC_FAILED ? "the resource allocation failed"
                                              : "the function failed to launch on the GPU";
}
cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
  *value = type == MAJOR_VERSION   ? CUBLAS_VER_MAJOR
           : type == MINOR_VERSION ? CUBLAS_VER_MINOR
                                   : CUBLAS_VER_PATCH;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  const auto lock = enter();
  *handle = nullptr;
  if (thread_captures()) {
    complain("cublasCreate during a capture");
    spoil_capture();
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  const Verdict verdict = begin_allocation();
  if (verdict == Verdict::no_memory) return CUBLAS_STATUS_ALLOC_FAILED;
  if (verdict == Verdict::lost) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasContext;
  (*handle)->gpu = current_gpu();
  count_handle("cuBLAS handle", 1);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  const auto lock = enter();
  delete handle;
  count_handle("cuBLAS handle", -1);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  const auto lock = enter();
  if (gpu_of(stream) < 0) return CUBLAS_STATUS_INVALID_VALUE;
  handle->stream = stream;
  handle->workspace = nullptr;  // "unconditionally resets the workspace"
  handle->workspace_bytes = 0;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  const auto lock = enter();
  if (std::bit_cast<std::uintptr_t>(workspace) % 256 != 0) return CUBLAS_STATUS_INVALID_VALUE;
  handle->workspace = workspace;
  handle->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  handle->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t a_op, cublasOperation_t b_op,
                              int m, int n, int k, const float* alpha, const float* a, int lda,
                              const float* b, int ldb, const float* beta, float* c, int ldc) {
  const bool tensor_cores = handle->math == CUBLAS_TF32_TENSOR_OP_MATH;
  return multiply(handle, m, n, k, *alpha, {a, false, lda, a_op == CUBLAS_OP_T, tensor_cores},
                  {b, false, ldb, b_op == CUBLAS_OP_T, tensor_cores}, *beta, c, ldc);
}
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t a_op, cublasOperation_t b_op,
                            int m, int n, int k, const void* alpha, const void* a,
                            cudaDataType a_type, int lda, const void* b, cudaDataType b_type,
                            int ldb, const void* beta, void* c, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (a_type != CUDA_R_16F || b_type != CUDA_R_16F || c_type != CUDA_R_32F ||
      compute != CUBLAS_COMPUTE_32F) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return multiply(handle, m, n, k, *static_cast<const float*>(alpha),
                  {a, true, lda, a_op == CUBLAS_OP_T, true},
                  {b, true, ldb, b_op == CUBLAS_OP_T, true}, *static_cast<const float*>(beta),
                  static_cast<float*>(c), ldc);
}

}  // extern "C"
