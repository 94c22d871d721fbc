// A network lowered for evaluation: BatchNorm folded, parameters in one flat array, values
// numbered.
#include "smoothcert/inference_plan.hpp"

#include <cmath>

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
    const auto& gamma = tensor(layer.name + ".weight");
    const auto& beta = tensor(layer.name + ".bias");
    const auto& mean = tensor(layer.name + ".running_mean");
    const auto& variance = tensor(layer.name + ".running_var");
    std::vector<double> scale, shift;
    for (std::size_t c = 0; c < gamma.size(); ++c) {
      scale.push_back(double{gamma[c]} / std::sqrt(double{variance[c]} + layer.eps));
      shift.push_back(double{beta[c]} - double{mean[c]} * scale.back());
    }
    affine(step, scale, shift);
  }

  void lower(std::size_t index) {
    const Layer& layer = net_.spec.layers[index];
    PlanStep step;
    step.in = layer.inputs.at(0);
    step.in2 = layer.inputs.size() > 1 ? layer.inputs[1] : -1;
    step.out = static_cast<int>(index);
    step.in_shape =
        step.in < 0 ? net_.spec.input : net_.spec.layers[static_cast<std::size_t>(step.in)].out;
    step.out_shape = layer.out;
    step.kernel = layer.kernel;
    step.stride = layer.stride;
    step.padding = layer.padding;
    switch (layer.kind) {
      case LayerKind::conv2d:
        step.kind = StepKind::conv2d;
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
        step.kind = StepKind::maxpool;
        break;
      case LayerKind::flatten:
        step.kind = StepKind::flatten;
        break;
      case LayerKind::add:
        step.kind = StepKind::add;
        break;
      case LayerKind::global_avg_pool:
        step.kind = StepKind::global_avg_pool;
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
