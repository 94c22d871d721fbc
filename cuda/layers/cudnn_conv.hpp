// Convolutions by cuDNN: deterministic algorithms only, chosen once per shape, their workspace from
// an arena whose memory never moves (captured graphs hold its addresses).
#pragma once

#if defined(SMOOTHCERT_HAVE_CUDNN)

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/runtime/check_libraries.hpp"
#include "cuda/runtime/context.hpp"
#include "gpu/algorithm_choice.hpp"
#include "gpu/train_plan.hpp"

namespace smoothcert::gpu {

/// Of one stream; not for two streams at once, since all convolutions share the workspace.
class CudnnConv {
 public:
  explicit CudnnConv(MathPrecision precision);
  ~CudnnConv();
  CudnnConv(const CudnnConv&) = delete;
  CudnnConv& operator=(const CudnnConv&) = delete;

  /// Chooses algorithms for the shape, once; for its gradients where they will be asked for. Each
  /// is run once before it is taken, on memory of its own: what the heuristics list may still be
  /// refused. Throws OutOfDeviceMemory where there is no room for that.
  void prepare(const ConvShape& shape, bool gradients);

  /// Which directions of a prepared shape cuDNN has no deterministic algorithm for, so that the
  /// project's own kernels have to do them.
  struct Directly {
    bool forward, data, filter;
  };
  Directly direct(const ConvShape& shape);

  /// out = in ∗ weights, without a bias.
  void forward(cudaStream_t stream, const ConvShape& shape, const float* in, const float* weights,
               float* out);
  void input_gradient(cudaStream_t stream, const ConvShape& shape, const float* out_gradient,
                      const float* weights, bool add, float* in_gradient);
  void weight_gradient(cudaStream_t stream, const ConvShape& shape, const float* in,
                       const float* out_gradient, bool add, float* gradient);

  /// "cuDNN 9.19.0 fp32"
  [[nodiscard]] std::string describe() const;
  /// One entry a shape: "128×1×28×28 → 5, 5×5: forward 1, data 1, filter 1".
  [[nodiscard]] std::vector<std::string> algorithms() const;

 private:
  struct Plan;

  Plan& plan_of(const ConvShape& shape);
  void choose_forward(Plan& plan, const ConvShape& shape);
  void choose_gradients(Plan& plan, const ConvShape& shape);
  void* workspace(std::size_t bytes);

  cudnnHandle_t handle_ = nullptr;
  MathPrecision precision_;
  std::vector<std::pair<ConvShape, std::unique_ptr<Plan>>> plans_;
  std::vector<DeviceBuffer<char>> arena_;
};

}  // namespace smoothcert::gpu

#endif
