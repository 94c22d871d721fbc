// Linear layers by cuBLAS: y = x·Wᵀ, x images × in, W out × in, all row-major.
#if defined(SMOOTHCERT_HAVE_CUBLAS)

#include "cuda/layers/cublas_linear.hpp"

namespace smoothcert::gpu {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // cuBLAS's own default on Hopper

}  // namespace

CublasLinear::CublasLinear(MathPrecision precision)
    : precision_(precision), workspace_(kWorkspaceBytes) {
  SMOOTHCERT_CUBLAS(cublasCreate(&handle_));
  SMOOTHCERT_CUBLAS(cublasSetMathMode(handle_, precision == MathPrecision::fp32
                                                   ? CUBLAS_PEDANTIC_MATH
                                                   : CUBLAS_TF32_TENSOR_OP_MATH));
}

CublasLinear::~CublasLinear() {
  if (handle_) cublasDestroy(handle_);
}

// cuBLAS is column-major: a row-major r × c matrix is its c × r one with leading dimension c.
void CublasLinear::multiply(cudaStream_t stream, cublasOperation_t a_op, cublasOperation_t b_op,
                            int m, int n, int k, const float* a, int lda, const float* b, int ldb,
                            bool add, float* c, int ldc) {
  const float one = 1.0f, beta = add ? 1.0f : 0.0f;
  SMOOTHCERT_CUBLAS(cublasSetStream(handle_, stream));
  // cublasSetStream() resets the workspace.
  SMOOTHCERT_CUBLAS(cublasSetWorkspace(handle_, workspace_.data(), kWorkspaceBytes));
  SMOOTHCERT_CUBLAS(cublasSgemm(handle_, a_op, b_op, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc));
}

void CublasLinear::forward(cudaStream_t stream, const ConvShape& s, const float* in,
                           const float* weights, float* out) {
  multiply(stream, CUBLAS_OP_T, CUBLAS_OP_N, s.out_channels, s.images, s.in_channels, weights,
           s.in_channels, in, s.in_channels, false, out, s.out_channels);
}

void CublasLinear::input_gradient(cudaStream_t stream, const ConvShape& s,
                                  const float* out_gradient, const float* weights, bool add,
                                  float* in_gradient) {
  multiply(stream, CUBLAS_OP_N, CUBLAS_OP_N, s.in_channels, s.images, s.out_channels, weights,
           s.in_channels, out_gradient, s.out_channels, add, in_gradient, s.in_channels);
}

void CublasLinear::weight_gradient(cudaStream_t stream, const ConvShape& s, const float* in,
                                   const float* out_gradient, bool add, float* gradient) {
  multiply(stream, CUBLAS_OP_N, CUBLAS_OP_T, s.in_channels, s.out_channels, s.images, in,
           s.in_channels, out_gradient, s.out_channels, add, gradient, s.in_channels);
}

std::string cublas_version() {
  int part[3] = {0, 0, 0};
  cublasGetProperty(MAJOR_VERSION, &part[0]);
  cublasGetProperty(MINOR_VERSION, &part[1]);
  cublasGetProperty(PATCH_LEVEL, &part[2]);
  return std::to_string(part[0]) + "." + std::to_string(part[1]) + "." + std::to_string(part[2]);
}

std::string CublasLinear::describe() const {
  return "cuBLAS " + cublas_version() + (precision_ == MathPrecision::fp32 ? " fp32" : " tf32");
}

}  // namespace smoothcert::gpu

#endif
