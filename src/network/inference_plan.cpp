// A network lowered for evaluation: BatchNorm folded, parameters in one flat array, values
// numbered.
#include "smoothcert/inference_plan.hpp"

#include <cmath>

#include "network/lowering.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert {
namespace {

class Lowering {
 public:
  explicit Lowering(const Network& net) : net_(net) {}

  InferencePlan run() {
    plan_.input = net_.spec.input;
    plan_.classes = net_.spec.classes;
    for (std::size_t i = 0; i < net_.spec.layers.size(); ++i) lower(i);
    return std::move(plan_);
  }

 private:
  const std::vector<float>& tensor(const std::string& name) const {
    const auto found = net_.tensors.find(name);
    if (found == net_.tensors.end()) throw Error("network: tensor '" + name + "' is missing");
    return found->second.data;
  }

  /// On 16 bytes, which the GPU libraries' faster kernels need.
  std::size_t append(const std::vector<float>& values) {
    const std::size_t offset = (plan_.params.size() + 3) / 4 * 4;
    plan_.params.resize(offset);
    plan_.params.insert(plan_.params.end(), values.begin(), values.end());
    return offset;
  }

  void weights(PlanStep& step, const Layer& layer) {
    step.weight = append(tensor(layer.name + ".weight"));
    step.bias =
        append(layer.bias ? tensor(layer.name + ".bias")
                          : std::vector<float>(static_cast<std::size_t>(layer.out_channels)));
  }

  void affine(PlanStep& step, const std::vector<double>& scale, const std::vector<double>& shift) {
    step.kind = StepKind::affine;
    step.weight = append({scale.begin(), scale.end()});
    step.bias = append({shift.begin(), shift.end()});
  }

  void fold_batchnorm(PlanStep& step, const Layer& layer) {
    const auto& mean = tensor(layer.name + ".running_mean");
    const auto& variance = tensor(layer.name + ".running_var");
    std::vector<double> scale, shift;
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const double gamma = layer.affine ? double{tensor(layer.name + ".weight")[c]} : 1.0;
      const double beta = layer.affine ? double{tensor(layer.name + ".bias")[c]} : 0.0;
      scale.push_back(gamma / std::sqrt(double{variance[c]} + layer.eps));
      shift.push_back(beta - double{mean[c]} * scale.back());
    }
    affine(step, scale, shift);
  }

  void windowed(PlanStep& step, const Layer& layer, StepKind plain, StepKind general) {
    step.window = window_shape(layer, step.in_shape);
    step.kernel = step.window.y.kernel;
    step.stride = step.window.y.stride;
    step.padding = step.window.y.padding;
    step.kind = is_plain(step.window) ? plain : general;
  }

  void activation(PlanStep& step, const Layer& layer) {
    step.kind = StepKind::activation;
    step.activation = activation_of(layer).value();
    step.alpha = static_cast<float>(layer.alpha);
  }

  void norm(PlanStep& step, const Layer& layer) {
    step.kind = StepKind::norm;
    step.groups = norm_groups(layer);
    step.eps = static_cast<float>(layer.eps);
    step.value_weights = layer.kind == LayerKind::layernorm;
    const std::size_t count = step.value_weights ? step.in_shape.size()
                                                 : static_cast<std::size_t>(step.in_shape.channels);
    step.weight =
        append(layer.affine ? tensor(layer.name + ".weight") : std::vector<float>(count, 1.0f));
    step.bias =
        append(layer.affine ? tensor(layer.name + ".bias") : std::vector<float>(count, 0.0f));
  }

  void arithmetic(PlanStep& step, LayerKind kind) {
    const ActivationShape b = shape_of(step.in2);
    step.arithmetic = arithmetic_shape(kind, step.in_shape, b, step.out_shape);
    step.kind = kind == LayerKind::add && step.in_shape == b ? StepKind::add : StepKind::arithmetic;
  }

  ActivationShape shape_of(int value) const {
    return value < 0 ? net_.spec.input : net_.spec.layers[static_cast<std::size_t>(value)].out;
  }

  void lower(std::size_t index) {
    const Layer& layer = net_.spec.layers[index];
    PlanStep step;
    step.arity = static_cast<int>(layer.inputs.size());
    if (step.arity > 0) step.in = layer.inputs[0];
    if (step.arity > 1) step.in2 = layer.inputs[1];
    if (step.arity > 2) step.more.assign(layer.inputs.begin() + 2, layer.inputs.end());
    step.out = static_cast<int>(index);
    step.in_shape = shape_of(step.in);
    step.out_shape = layer.out;
    step.kernel = layer.kernel;
    step.stride = layer.stride;
    step.padding = layer.padding;
    switch (layer.kind) {
      case LayerKind::conv2d:
        windowed(step, layer, StepKind::conv2d, StepKind::window_conv);
        weights(step, layer);
        break;
      case LayerKind::linear:
        step.kind = StepKind::linear;
        weights(step, layer);
        break;
      case LayerKind::batchnorm:
        fold_batchnorm(step, layer);
        break;
      case LayerKind::normalize: {
        std::vector<double> scale, shift;
        for (std::size_t c = 0; c < layer.mean.size(); ++c) {
          scale.push_back(1.0 / double{layer.stddev[c]});
          shift.push_back(-double{layer.mean[c]} / double{layer.stddev[c]});
        }
        affine(step, scale, shift);
        break;
      }
      case LayerKind::relu:
        step.kind = StepKind::relu;
        break;
      case LayerKind::maxpool:
        windowed(step, layer, StepKind::maxpool, StepKind::window_max);
        break;
      case LayerKind::adaptive_maxpool:
        windowed(step, layer, StepKind::window_max, StepKind::window_max);
        break;
      case LayerKind::avgpool:
      case LayerKind::adaptive_avgpool:
        windowed(step, layer, StepKind::window_mean, StepKind::window_mean);
        break;
      case LayerKind::flatten:
      case LayerKind::reshape:
      case LayerKind::identity:
      case LayerKind::dropout:
        step.kind = StepKind::flatten;
        break;
      case LayerKind::add:
      case LayerKind::sub:
      case LayerKind::mul:
        arithmetic(step, layer.kind);
        break;
      case LayerKind::concat:
        step.kind = StepKind::concat;
        break;
      case LayerKind::constant:
        step.kind = StepKind::constant;
        step.weight = append(tensor(layer.name + ".value"));
        break;
      case LayerKind::global_avg_pool:
        step.kind = StepKind::global_avg_pool;
        break;
      case LayerKind::leaky_relu:
      case LayerKind::relu6:
      case LayerKind::elu:
      case LayerKind::silu:
      case LayerKind::sigmoid:
      case LayerKind::tanh:
      case LayerKind::gelu:
      case LayerKind::hardswish:
        activation(step, layer);
        break;
      case LayerKind::prelu: {
        step.kind = StepKind::prelu;
        std::vector<float> slopes = tensor(layer.name + ".weight");
        if (slopes.size() == 1)
          slopes.assign(static_cast<std::size_t>(step.in_shape.channels), slopes[0]);
        step.weight = append(slopes);
        break;
      }
      case LayerKind::softmax:
        step.kind = StepKind::softmax;
        break;
      case LayerKind::groupnorm:
      case LayerKind::layernorm:
      case LayerKind::instancenorm:
        norm(step, layer);
        break;
    }
    plan_.steps.push_back(step);
  }

  const Network& net_;
  InferencePlan plan_;
};

}  // namespace

InferencePlan make_inference_plan(const Network& net) { return Lowering(net).run(); }

}  // namespace smoothcert
