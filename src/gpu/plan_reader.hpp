// Reads an InferencePlan step by step for the fused fp16 kernels, which take convolutions of 5×5
// with a ReLU and 2×2 pooling behind them.
#pragma once

#include <string>
#include <vector>

#include "smoothcert/inference_plan.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert::gpu {

inline constexpr int kWindow = 25;  ///< taps of a 5×5 convolution

/// One reason why a network does not fit; caught by whoever asked.
struct Mismatch {
  std::string why;
};

/// conv → ReLU → pool, with the affine steps around the ReLU kept apart from the convolution.
struct Block {
  int in = 0, out = 0;
  std::vector<double> weights, bias;  ///< OI·taps, an affine step before the ReLU folded in
  std::vector<double> scale, shift;   ///< of the affine step behind the ReLU
};

class PlanReader {
 public:
  explicit PlanReader(const InferencePlan& plan) : plan_(plan) {}

  bool at(StepKind kind) const { return next_ < plan_.steps.size() && step().kind == kind; }
  bool done() const { return next_ == plan_.steps.size(); }
  const PlanStep& take(StepKind kind, const char* name) {
    if (!at(kind)) throw Mismatch{std::string("expected ") + name + layer()};
    if (step().in != static_cast<int>(next_) - 1) throw Mismatch{"not a chain" + layer()};
    return plan_.steps[next_++];
  }
  double value(std::size_t offset) const { return plan_.params[offset]; }

  /// Per-channel scale and shift of an affine step, if one comes next; else ones and zeros.
  void affine(int channels, std::vector<double>& scale, std::vector<double>& shift) {
    scale.assign(static_cast<std::size_t>(channels), 1.0);
    shift.assign(static_cast<std::size_t>(channels), 0.0);
    if (!at(StepKind::affine)) return;
    const PlanStep& a = take(StepKind::affine, "an affine step");
    for (std::size_t c = 0; c < scale.size(); ++c) {
      scale[c] = value(a.weight + c);
      shift[c] = value(a.bias + c);
    }
  }

  /// A convolution to at most `most` channels, its ReLU and its pooling.
  Block block(int in_channels, int in_size, int most) {
    const PlanStep& conv = take(StepKind::conv2d, "a convolution");
    const ActivationShape in = conv.in_shape, out = conv.out_shape;
    if (in.channels != in_channels || in.height != in_size || in.width != in_size ||
        conv.kernel != 5 || conv.stride != 1 || conv.padding != 0 || out.channels > most) {
      throw Mismatch{"another convolution than 5x5 to at most " + std::to_string(most) +
                     " channels" + layer()};
    }
    Block b{in.channels, out.channels, {}, {}, {}, {}};
    std::vector<double> scale, shift;
    affine(b.out, scale, shift);
    for (int o = 0; o < b.out; ++o) {
      const auto oc = static_cast<std::size_t>(o);
      for (int i = 0; i < b.in * kWindow; ++i) {
        b.weights.push_back(scale[oc] *
                            value(conv.weight + oc * static_cast<std::size_t>(b.in * kWindow) +
                                  static_cast<std::size_t>(i)));
      }
      b.bias.push_back(scale[oc] * value(conv.bias + oc) + shift[oc]);
    }
    take(StepKind::relu, "a ReLU");
    affine(b.out, b.scale, b.shift);
    const PlanStep& pool = take(StepKind::maxpool, "a max pooling");
    if (pool.kernel != 2 || pool.stride != 2 || pool.padding != 0) {
      throw Mismatch{"another pooling than 2x2" + layer()};
    }
    return b;
  }

 private:
  const PlanStep& step() const { return plan_.steps[next_]; }
  std::string layer() const { return " (step " + std::to_string(next_) + ")"; }

  const InferencePlan& plan_;
  std::size_t next_ = 0;
};

}  // namespace smoothcert::gpu
