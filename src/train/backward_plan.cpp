// A network seen by training: nodes, values, places of parameters, and the steps of a backward
// pass.
#include "train/backward_plan.hpp"

namespace smoothcert {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

class Planner {
 public:
  explicit Planner(const NetworkSpec& spec) : spec_(spec), value_(spec.layers.size()) {}

  BackwardPlan run() {
    plan_.input = spec_.input;
    plan_.classes = spec_.classes;
    plan_.values.push_back({.shape = spec_.input});
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) place(i);
    if (!value_.empty()) plan_.logits = value_.back();
    find_readers();
    find_reached();
    return std::move(plan_);
  }

 private:
  /// The value a layer's output is; −1 is the image in a network's description.
  [[nodiscard]] int value_of(int layer) const { return layer < 0 ? kImage : value_[cast(layer)]; }

  void place(std::size_t index) {
    const Layer& layer = spec_.layers[index];
    if (layer.kind == LayerKind::flatten) {
      value_[index] = value_of(layer.inputs.at(0));
      return;
    }
    PlanNode node;
    node.kind = layer.kind;
    node.name = layer.name;
    node.in = value_of(layer.inputs.at(0));
    if (layer.inputs.size() > 1) node.in2 = value_of(layer.inputs[1]);
    node.in_shape = layer.inputs[0] < 0 ? spec_.input : spec_.layers[cast(layer.inputs[0])].out;
    node.out_shape = layer.out;
    node.kernel = layer.kernel;
    node.stride = layer.stride;
    node.padding = layer.padding;
    node.eps = layer.eps;
    node.momentum = layer.momentum;
    place_parameters(node, layer);
    node.out = value_[index] = static_cast<int>(plan_.values.size());
    const bool trains = node.has_weight() || plan_.value(node.in).trains ||
                        (node.in2 != kNoValue && plan_.value(node.in2).trains);
    plan_.values.push_back(
        {.shape = layer.out, .writer = static_cast<int>(plan_.nodes.size()), .trains = trains});
    plan_.nodes.push_back(std::move(node));
  }

  void place_parameters(PlanNode& node, const Layer& layer) {
    const std::size_t channels = cast(node.in_shape.channels), out = cast(layer.out_channels);
    switch (layer.kind) {
      case LayerKind::conv2d:
        weights(node, layer, out * channels * cast(layer.kernel) * cast(layer.kernel));
        break;
      case LayerKind::linear:
        weights(node, layer, out * node.in_shape.size());
        break;
      case LayerKind::batchnorm:
        node.weight_count = channels;
        node.weight = tensor(layer.name + ".weight", channels, true);
        node.bias = tensor(layer.name + ".bias", channels, true);
        node.statistics = tensor(layer.name + ".running_mean", channels, false);
        tensor(layer.name + ".running_var", channels, false);
        break;
      case LayerKind::normalize:
        for (std::size_t c = 0; c < channels; ++c) {
          const double mean = layer.mean[c], stddev = layer.stddev[c];
          node.scale.push_back(static_cast<float>(1.0 / stddev));
          node.shift.push_back(static_cast<float>(-mean / stddev));
        }
        break;
      default:  // no parameters, or refused by make_backward_plan()
        break;
    }
  }

  void weights(PlanNode& node, const Layer& layer, std::size_t count) {
    node.weight_count = count;
    node.weight = tensor(layer.name + ".weight", count, true);
    if (layer.bias) node.bias = tensor(layer.name + ".bias", cast(layer.out_channels), true);
  }

  std::size_t tensor(const std::string& name, std::size_t count, bool trainable) {
    std::size_t& total = trainable ? plan_.parameters : plan_.statistics;
    const std::size_t offset = total;
    plan_.tensors.push_back({name, offset, count, trainable});
    total += trainable ? (count + 3) / 4 * 4 : count;
    return offset;
  }

  void find_readers() {
    std::vector<int> readers(plan_.values.size());
    const auto read = [&](int value, int node) {
      PlanValue& v = plan_.values[cast(value)];
      v.only_reader = ++readers[cast(value)] == 1 ? node : kNoNode;
    };
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
      const PlanNode& node = plan_.nodes[i];
      read(node.in, static_cast<int>(i));
      if (node.in2 != kNoValue) read(node.in2, static_cast<int>(i));
    }
    read(plan_.logits, kNoNode);
  }

  void find_reached() {
    std::vector<bool> needed(plan_.values.size());
    needed[cast(plan_.logits)] = true;
    for (auto node = plan_.nodes.rbegin(); node != plan_.nodes.rend(); ++node) {
      node->reached = needed[cast(node->out)];
      if (!node->reached) continue;
      needed[cast(node->in)] = true;
      if (node->in2 != kNoValue) needed[cast(node->in2)] = true;
    }
  }

  const NetworkSpec& spec_;
  BackwardPlan plan_;
  std::vector<int> value_;  ///< layer → value
};

}  // namespace

const PlanNode* BackwardPlan::before(const PlanNode& node) const {
  const int writer = value(node.in).writer;
  return writer == kNoNode ? nullptr : &nodes[cast(writer)];
}

BackwardPlan make_backward_plan(const NetworkSpec& spec) {
  require_gradients(spec, "training and attacks");
  return Planner(spec).run();
}

std::vector<BackwardStep> backward_steps(const BackwardPlan& plan, GradientOf of) {
  std::vector<BackwardStep> steps;
  std::vector<bool> written(plan.values.size());
  const auto flow = [&](int value) {
    if (value == kNoValue) return Flow::skip;
    if (of == GradientOf::parameters && !plan.value(value).trains) return Flow::skip;
    const bool add = written[cast(value)];
    written[cast(value)] = true;
    return add ? Flow::add : Flow::write;
  };
  for (std::size_t i = plan.nodes.size(); i-- > 0;) {
    const PlanNode& node = plan.nodes[i];
    if (!node.reached) continue;
    if (of == GradientOf::parameters && !plan.value(node.out).trains) continue;
    BackwardStep step{.node = static_cast<int>(i)};
    step.parameters = of == GradientOf::parameters && node.has_weight();
    step.in = flow(node.in);
    step.in2 = flow(node.in2);
    steps.push_back(step);
  }
  return steps;
}

}  // namespace smoothcert
