// Matrix products of halves by cuBLAS, fp32 throughout the sum.
#include "cuda/votes/cublas_half.hpp"

#include "cuda/layers/cublas_linear.hpp"
#include "cuda/layers/library_engine.hpp"

namespace smoothcert::gpu {

#if defined(SMOOTHCERT_HAVE_CUBLAS)
namespace {

class CublasHalf final : public HalfEngine {
 public:
  CublasHalf() : workspace_(kWorkspaceBytes) {
    SMOOTHCERT_CUBLAS(cublasCreate(&handle_));
    SMOOTHCERT_CUBLAS(cublasSetMathMode(
        handle_, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                           CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)));
  }
  ~CublasHalf() override {
    if (handle_) cublasDestroy(handle_);
  }
  CublasHalf(const CublasHalf&) = delete;
  CublasHalf& operator=(const CublasHalf&) = delete;

  std::string describe() const override { return "cuBLAS " + cublas_version() + " fp16"; }

  // cuBLAS is column-major: a row-major r × c matrix is its c × r one with leading dimension c.
  void multiply(Stream stream, const HalfProduct& p, const std::uint16_t* x,
                const std::uint16_t* weights, float* sums) override {
    const float zero = 0.0f;
    SMOOTHCERT_CUBLAS(cublasSetStream(handle_, stream));
    // cublasSetStream() resets the workspace.
    SMOOTHCERT_CUBLAS(cublasSetWorkspace(handle_, workspace_.data(), kWorkspaceBytes));
    SMOOTHCERT_CUBLAS(cublasGemmEx(handle_, CUBLAS_OP_T, CUBLAS_OP_N, p.out, p.samples, p.in,
                                   &p.scale, weights, CUDA_R_16F, p.in, x, CUDA_R_16F, p.in, &zero,
                                   sums, CUDA_R_32F, p.out, CUBLAS_COMPUTE_32F,
                                   CUBLAS_GEMM_DEFAULT));
  }

 private:
  static constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

  cublasHandle_t handle_ = nullptr;
  DeviceBuffer<char> workspace_;
};

}  // namespace
#endif

std::unique_ptr<HalfEngine> make_half_engine() {
#if defined(SMOOTHCERT_HAVE_CUBLAS)
  if (libraries_wanted()) return std::make_unique<CublasHalf>();
#endif
  return make_direct_half_engine();
}

}  // namespace smoothcert::gpu
