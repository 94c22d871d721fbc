// A network seen by training: nodes, values, places of parameters, and the steps of a backward
// pass.
#include "train/backward_plan.hpp"

#include "network/lowering.hpp"

namespace smoothcert {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

class Planner {
 public:
  explicit Planner(const NetworkSpec& spec) : spec_(spec), value_(spec.layers.size()) {}

  BackwardPlan run() {
    plan_.input = spec_.input;
    plan_.classes = spec_.classes;
    plan_.values.push_back({.shape = spec_.input, .from_image = true});
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) place(i);
    if (!value_.empty()) plan_.logits = value_.back();
    find_readers();
    find_reached();
    return std::move(plan_);
  }

 private:
  /// The value a layer's output is; −1 is the image in a network's description.
  [[nodiscard]] int value_of(int layer) const { return layer < 0 ? kImage : value_[cast(layer)]; }

  [[nodiscard]] ActivationShape shape_of(int layer) const {
    return layer < 0 ? spec_.input : spec_.layers[cast(layer)].out;
  }

  void place(std::size_t index) {
    const Layer& layer = spec_.layers[index];
    if (renames_input(layer.kind)) {
      value_[index] = value_of(layer.inputs.at(0));
      return;
    }
    PlanNode node;
    node.kind = layer.kind;
    node.name = layer.name;
    if (!layer.inputs.empty()) node.in = value_of(layer.inputs[0]);
    if (layer.inputs.size() > 1) node.in2 = value_of(layer.inputs[1]);
    for (std::size_t i = 2; i < layer.inputs.size(); ++i)
      node.more.push_back(value_of(layer.inputs[i]));
    node.in_shape = layer.inputs.empty() ? layer.out : shape_of(layer.inputs[0]);
    node.out_shape = layer.out;
    node.eps = layer.eps;
    node.momentum = layer.momentum;
    place_fields(node, layer);
    node.out = value_[index] = static_cast<int>(plan_.values.size());
    PlanValue value{.shape = layer.out, .writer = static_cast<int>(plan_.nodes.size())};
    value.trains = node.has_weight();
    node.for_each_input([&](int v) {
      value.trains = value.trains || plan_.value(v).trains;
      value.from_image = value.from_image || plan_.value(v).from_image;
    });
    plan_.values.push_back(value);
    plan_.nodes.push_back(std::move(node));
  }

  void windows(PlanNode& node, const Layer& layer) {
    node.window = window_shape(layer, node.in_shape);
    node.plain_window = is_plain(node.window);
    node.kernel = node.window.y.kernel;
    node.stride = node.window.y.stride;
    node.padding = node.window.y.padding;
  }

  /// What the kind's kernels read, and its parameters.
  void place_fields(PlanNode& node, const Layer& layer) {
    const std::size_t channels = cast(node.in_shape.channels), out = cast(layer.out_channels);
    switch (layer.kind) {
      case LayerKind::conv2d:
        windows(node, layer);
        weights(node, layer,
                out * (channels / cast(layer.groups)) * cast(node.window.y.kernel) *
                    cast(node.window.x.kernel));
        break;
      case LayerKind::maxpool:
      case LayerKind::avgpool:
      case LayerKind::adaptive_avgpool:
      case LayerKind::adaptive_maxpool:
        windows(node, layer);
        break;
      case LayerKind::linear:
        weights(node, layer, out * node.in_shape.size());
        break;
      case LayerKind::batchnorm:
        if (layer.affine) scale_and_shift(node, layer, channels);
        node.statistics = tensor(layer.name + ".running_mean", channels, false);
        tensor(layer.name + ".running_var", channels, false);
        break;
      case LayerKind::groupnorm:
      case LayerKind::instancenorm:
      case LayerKind::layernorm:
        node.groups = norm_groups(layer);
        if (layer.affine)
          scale_and_shift(node, layer,
                          layer.kind == LayerKind::layernorm ? node.in_shape.size() : channels);
        break;
      case LayerKind::normalize:
        for (std::size_t c = 0; c < channels; ++c) {
          const double mean = layer.mean[c], stddev = layer.stddev[c];
          node.scale.push_back(static_cast<float>(1.0 / stddev));
          node.shift.push_back(static_cast<float>(-mean / stddev));
        }
        break;
      case LayerKind::leaky_relu:
      case LayerKind::relu6:
      case LayerKind::elu:
      case LayerKind::silu:
      case LayerKind::sigmoid:
      case LayerKind::tanh:
      case LayerKind::gelu:
      case LayerKind::hardswish:
        node.activation = activation_of(layer).value();
        node.alpha = static_cast<float>(layer.alpha);
        break;
      case LayerKind::prelu:
        node.weight_count = cast(layer.slopes);
        node.weight = tensor(layer.name + ".weight", node.weight_count, true);
        break;
      case LayerKind::add:
      case LayerKind::sub:
      case LayerKind::mul: {
        const ActivationShape second = shape_of(layer.inputs.at(1));
        node.arithmetic = arithmetic_shape(layer.kind, node.in_shape, second, layer.out);
        node.plain_add = layer.kind == LayerKind::add && node.in_shape == second;
        break;
      }
      case LayerKind::constant:
        node.statistics = tensor(layer.name + ".value", layer.out.size(), false);
        break;
      case LayerKind::relu:
      case LayerKind::softmax:
      case LayerKind::concat:
      case LayerKind::global_avg_pool:
      case LayerKind::flatten:
      case LayerKind::reshape:
      case LayerKind::identity:
      case LayerKind::dropout:
        break;
    }
  }

  void scale_and_shift(PlanNode& node, const Layer& layer, std::size_t count) {
    node.weight_count = node.bias_count = count;
    node.weight = tensor(layer.name + ".weight", count, true);
    node.bias = tensor(layer.name + ".bias", count, true);
  }

  void weights(PlanNode& node, const Layer& layer, std::size_t count) {
    node.weight_count = count;
    node.weight = tensor(layer.name + ".weight", count, true);
    if (!layer.bias) return;
    node.bias_count = cast(layer.out_channels);
    node.bias = tensor(layer.name + ".bias", node.bias_count, true);
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
      plan_.nodes[i].for_each_input([&](int value) { read(value, static_cast<int>(i)); });
    }
    read(plan_.logits, kNoNode);
  }

  void find_reached() {
    std::vector<bool> needed(plan_.values.size());
    needed[cast(plan_.logits)] = true;
    for (auto node = plan_.nodes.rbegin(); node != plan_.nodes.rend(); ++node) {
      node->reached = needed[cast(node->out)];
      if (!node->reached) continue;
      node->for_each_input([&](int value) { needed[cast(value)] = true; });
    }
  }

  const NetworkSpec& spec_;
  BackwardPlan plan_;
  std::vector<int> value_;  ///< layer → value
};

}  // namespace

const PlanNode* BackwardPlan::before(const PlanNode& node) const {
  const int writer = node.in == kNoValue ? kNoNode : value(node.in).writer;
  return writer == kNoNode ? nullptr : &nodes[cast(writer)];
}

BackwardPlan make_backward_plan(const NetworkSpec& spec) { return Planner(spec).run(); }

std::vector<BackwardStep> backward_steps(const BackwardPlan& plan, GradientOf of) {
  std::vector<BackwardStep> steps;
  std::vector<bool> written(plan.values.size());
  const auto wanted = [&](int value) {
    return of == GradientOf::parameters ? plan.value(value).trains : plan.value(value).from_image;
  };
  const auto flow = [&](int value) {
    if (value == kNoValue) return Flow::skip;
    if (!wanted(value)) return Flow::skip;
    const bool add = written[cast(value)];
    written[cast(value)] = true;
    return add ? Flow::add : Flow::write;
  };
  for (std::size_t i = plan.nodes.size(); i-- > 0;) {
    const PlanNode& node = plan.nodes[i];
    if (!node.reached || !wanted(node.out)) continue;
    BackwardStep step{.node = static_cast<int>(i)};
    step.parameters = of == GradientOf::parameters && node.has_weight();
    step.in = flow(node.in);
    step.in2 = flow(node.in2);
    for (const int value : node.more) step.more.push_back(flow(value));
    steps.push_back(step);
  }
  return steps;
}

}  // namespace smoothcert
