// The layer engine a GPU uses: cuDNN and cuBLAS where they are built in, the project's own kernels
// for what is missing.
#include "cuda/layers/library_engine.hpp"

#include <cstdlib>

#include "cuda/layers/cublas_linear.hpp"
#include "cuda/layers/cudnn_conv.hpp"
#include "cuda/train/launch_train.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {

bool libraries_wanted() {
  const char* choice = std::getenv("SMOOTHCERT_GPU_ENGINE");
  const std::string name = choice ? choice : "library";
  if (name == "library" || name.empty()) return true;
  if (name == "direct") return false;
  throw UsageError("SMOOTHCERT_GPU_ENGINE=" + name + ": neither 'library' nor 'direct'");
}

namespace {

ActivationShape out_shape(const ConvShape& s) {
  return {s.out_channels, s.out_height, s.out_width};
}

#if defined(SMOOTHCERT_HAVE_CUDNN) || defined(SMOOTHCERT_HAVE_CUBLAS)

/// Biases are added and their gradients summed by our own kernels.
class LibraryEngine final : public LayerEngine {
 public:
  explicit LibraryEngine([[maybe_unused]] MathPrecision precision)
      : direct_(make_direct_engine())
#if defined(SMOOTHCERT_HAVE_CUDNN)
        ,
        cudnn_(precision)
#endif
#if defined(SMOOTHCERT_HAVE_CUBLAS)
        ,
        cublas_(precision)
#endif
  {
  }

  std::string describe() const override {
    std::string text;
#if defined(SMOOTHCERT_HAVE_CUDNN)
    text = cudnn_.describe();
#else
    text = "direct convolution kernels fp32";
#endif
#if defined(SMOOTHCERT_HAVE_CUBLAS)
    text += ", " + cublas_.describe();
#else
    text += ", direct linear kernels fp32";
#endif
    return text;
  }
  std::vector<std::string> algorithms() const override {
#if defined(SMOOTHCERT_HAVE_CUDNN)
    return cudnn_.algorithms();
#else
    return {};
#endif
  }

  void prepare(const ConvShape& shape, bool linear, [[maybe_unused]] bool gradients) override {
#if defined(SMOOTHCERT_HAVE_CUDNN)
    if (!linear) cudnn_.prepare(shape, gradients);
#else
    direct_->prepare(shape, linear, gradients);
#endif
  }

#if defined(SMOOTHCERT_HAVE_CUDNN)
  bool adds_bias_apart() const override { return true; }
  void conv(Stream stream, const ConvShape& s, const float* in, const float* weights,
            const float* bias, float* out) override {
    if (cudnn_.direct(s).forward) return direct_->conv(stream, s, in, weights, bias, out);
    cudnn_.forward(stream, s, in, weights, out);
    biases(stream, s, bias, out);
  }
  void conv_input_gradient(Stream stream, const ConvShape& s, const float* out_gradient,
                           const float* weights, bool add, float* in_gradient) override {
    if (cudnn_.direct(s).data)
      return direct_->conv_input_gradient(stream, s, out_gradient, weights, add, in_gradient);
    cudnn_.input_gradient(stream, s, out_gradient, weights, add, in_gradient);
  }
  void conv_weight_gradient(Stream stream, const ConvShape& s, const float* in,
                            const float* out_gradient, bool add, float* gradient,
                            float* bias_grad) override {
    if (cudnn_.direct(s).filter) {
      direct_->use_scratch(scratch_);
      return direct_->conv_weight_gradient(stream, s, in, out_gradient, add, gradient, bias_grad);
    }
    cudnn_.weight_gradient(stream, s, in, out_gradient, add, gradient);
    bias_gradients(stream, s, out_gradient, add, bias_grad);
  }
#else
  void conv(Stream stream, const ConvShape& s, const float* in, const float* weights,
            const float* bias, float* out) override {
    direct_->conv(stream, s, in, weights, bias, out);
  }
  void conv_input_gradient(Stream stream, const ConvShape& s, const float* out_gradient,
                           const float* weights, bool add, float* in_gradient) override {
    direct_->conv_input_gradient(stream, s, out_gradient, weights, add, in_gradient);
  }
  void conv_weight_gradient(Stream stream, const ConvShape& s, const float* in,
                            const float* out_gradient, bool add, float* gradient,
                            float* bias_grad) override {
    direct_->use_scratch(scratch_);
    direct_->conv_weight_gradient(stream, s, in, out_gradient, add, gradient, bias_grad);
  }
#endif

#if defined(SMOOTHCERT_HAVE_CUBLAS)
  void linear(Stream stream, const ConvShape& s, const float* in, const float* weights,
              const float* bias, float* out) override {
    cublas_.forward(stream, s, in, weights, out);
    biases(stream, s, bias, out);
  }
  void linear_input_gradient(Stream stream, const ConvShape& s, const float* out_gradient,
                             const float* weights, bool add, float* in_gradient) override {
    cublas_.input_gradient(stream, s, out_gradient, weights, add, in_gradient);
  }
  void linear_weight_gradient(Stream stream, const ConvShape& s, const float* in,
                              const float* out_gradient, bool add, float* gradient,
                              float* bias_grad) override {
    cublas_.weight_gradient(stream, s, in, out_gradient, add, gradient);
    bias_gradients(stream, s, out_gradient, add, bias_grad);
  }
#else
  void linear(Stream stream, const ConvShape& s, const float* in, const float* weights,
              const float* bias, float* out) override {
    direct_->linear(stream, s, in, weights, bias, out);
  }
  void linear_input_gradient(Stream stream, const ConvShape& s, const float* out_gradient,
                             const float* weights, bool add, float* in_gradient) override {
    direct_->linear_input_gradient(stream, s, out_gradient, weights, add, in_gradient);
  }
  void linear_weight_gradient(Stream stream, const ConvShape& s, const float* in,
                              const float* out_gradient, bool add, float* gradient,
                              float* bias_grad) override {
    direct_->use_scratch(scratch_);
    direct_->linear_weight_gradient(stream, s, in, out_gradient, add, gradient, bias_grad);
  }
#endif

 private:
  static void biases(Stream stream, const ConvShape& s, const float* bias, float* out) {
    if (bias) add_bias(stream, bias, out_shape(s), static_cast<std::uint32_t>(s.images), out);
  }
  void bias_gradients(Stream stream, const ConvShape& s, const float* out_gradient, bool add,
                      float* gradient) {
    if (!gradient) return;
    bias_gradient(stream, out_gradient, out_shape(s), static_cast<std::uint32_t>(s.images), add,
                  scratch_, gradient);
  }

  std::unique_ptr<LayerEngine> direct_;
#if defined(SMOOTHCERT_HAVE_CUDNN)
  CudnnConv cudnn_;
#endif
#if defined(SMOOTHCERT_HAVE_CUBLAS)
  CublasLinear cublas_;
#endif
};

#endif

}  // namespace

std::unique_ptr<LayerEngine> make_library_engine([[maybe_unused]] MathPrecision precision) {
#if defined(SMOOTHCERT_HAVE_CUDNN) || defined(SMOOTHCERT_HAVE_CUBLAS)
  if (libraries_wanted()) return std::make_unique<LibraryEngine>(precision);
#else
  libraries_wanted();  // a wrong name is an error here too
#endif
  return make_direct_engine();
}

std::string library_versions() {
  std::string text;
#if defined(SMOOTHCERT_HAVE_CUDNN)
  const std::size_t v = cudnnGetVersion();
  text = "cuDNN " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." +
         std::to_string(v % 100);
#else
  text = "no cuDNN (direct convolution kernels)";
#endif
#if defined(SMOOTHCERT_HAVE_CUBLAS)
  text += ", cuBLAS " + cublas_version();
#else
  text += ", no cuBLAS (direct linear kernels)";
#endif
  return text;
}

}  // namespace smoothcert::gpu
