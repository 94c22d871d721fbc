// Linear layers by cuBLAS: y = x·Wᵀ, x images × in, W out × in, all row-major. Pedantic math and a
// workspace of our own, so that the same call gives the same bits, captured or not.
#pragma once

#if defined(SMOOTHCERT_HAVE_CUBLAS)

#include <string>

#include "cuda/runtime/check_libraries.hpp"
#include "cuda/runtime/context.hpp"
#include "gpu/algorithm_choice.hpp"
#include "gpu/train_plan.hpp"

namespace smoothcert::gpu {

/// Of one stream. Shapes are those of a 1×1 convolution; see conv_shape().
class CublasLinear {
 public:
  explicit CublasLinear(MathPrecision precision);
  ~CublasLinear();
  CublasLinear(const CublasLinear&) = delete;
  CublasLinear& operator=(const CublasLinear&) = delete;

  void forward(cudaStream_t stream, const ConvShape& shape, const float* in, const float* weights,
               float* out);
  void input_gradient(cudaStream_t stream, const ConvShape& shape, const float* out_gradient,
                      const float* weights, bool add, float* in_gradient);
  void weight_gradient(cudaStream_t stream, const ConvShape& shape, const float* in,
                       const float* out_gradient, bool add, float* gradient);

  /// "cuBLAS 13.1.0 fp32"
  [[nodiscard]] std::string describe() const;

 private:
  void multiply(cudaStream_t stream, cublasOperation_t a_op, cublasOperation_t b_op, int m, int n,
                int k, const float* a, int lda, const float* b, int ldb, bool add, float* c,
                int ldc);

  cublasHandle_t handle_ = nullptr;
  MathPrecision precision_;
  DeviceBuffer<char> workspace_;
};

/// The linked library's version: "13.1.0".
std::string cublas_version();

}  // namespace smoothcert::gpu

#endif
