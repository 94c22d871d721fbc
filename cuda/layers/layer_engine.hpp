// Convolutions and linear layers of training: by cuDNN and cuBLAS where they are built in, by the
// project's own kernels elsewhere and as the oracle.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/runtime/abi.hpp"
#include "gpu/train_plan.hpp"

namespace smoothcert::gpu {

/// Device pointers throughout; asynchronous on the stream; deterministic. `add` adds to what the
/// gradient holds. `bias` and `bias_gradient` may be null.
class LayerEngine {
 public:
  virtual ~LayerEngine() = default;
  /// "direct kernels", "cuDNN 9.19.0 fp32, cuBLAS 13.1 fp32"
  [[nodiscard]] virtual std::string describe() const = 0;
  /// Which algorithm runs each shape prepared so far, for the record; empty where there is no
  /// choice.
  [[nodiscard]] virtual std::vector<std::string> algorithms() const { return {}; }
  /// Chooses algorithms and makes room for this shape, and for its gradients if wanted; before any
  /// capture, since it may allocate.
  virtual void prepare(const ConvShape& shape, bool linear, bool gradients) = 0;

  /// Whether conv() launches a separate kernel for the bias. The caller may then pass no bias and
  /// let the next kernel, which reads the output anyway, add it.
  [[nodiscard]] virtual bool adds_bias_apart() const { return false; }

  /// Device memory for partial sums: scratch_floats() of every shape whose gradients are asked for.
  void use_scratch(float* memory) { scratch_ = memory; }

  virtual void conv(Stream stream, const ConvShape& shape, const float* in, const float* weights,
                    const float* bias, float* out) = 0;
  virtual void conv_input_gradient(Stream stream, const ConvShape& shape, const float* out_gradient,
                                   const float* weights, bool add, float* in_gradient) = 0;
  virtual void conv_weight_gradient(Stream stream, const ConvShape& shape, const float* in,
                                    const float* out_gradient, bool add, float* gradient,
                                    float* bias_gradient) = 0;
  /// The same for y = x·Wᵀ + b, whose shape is that of a 1×1 convolution.
  virtual void linear(Stream stream, const ConvShape& shape, const float* in, const float* weights,
                      const float* bias, float* out) = 0;
  virtual void linear_input_gradient(Stream stream, const ConvShape& shape,
                                     const float* out_gradient, const float* weights, bool add,
                                     float* in_gradient) = 0;
  virtual void linear_weight_gradient(Stream stream, const ConvShape& shape, const float* in,
                                      const float* out_gradient, bool add, float* gradient,
                                      float* bias_gradient) = 0;

 protected:
  float* scratch_ = nullptr;
};

inline namespace SMOOTHCERT_GPU_ABI {
std::unique_ptr<LayerEngine> make_direct_engine();
}  // namespace SMOOTHCERT_GPU_ABI

}  // namespace smoothcert::gpu
