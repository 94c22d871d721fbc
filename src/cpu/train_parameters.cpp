// Parameters, running statistics and optimiser moments of one training, flat, and the weights once
// more in the order the kernels read them.
#include "cpu/train_parameters.hpp"

#include <algorithm>
#include <cmath>

#include "smoothcert/error.hpp"
#include "train/optimizer_step.hpp"

namespace smoothcert::cpu {
namespace {

constexpr std::uint32_t kUnpacked = 0xFFFFFFFFu;

const Tensor& tensor(const Network& net, const std::string& name) {
  const auto found = net.tensors.find(name);
  if (found == net.tensors.end()) throw Error("network: tensor '" + name + "' is missing");
  return found->second;
}

/// Place of (output channel, tap) in [block][tap][channel of the block], blocks as even as
/// lane_conv.hpp cuts them.
std::size_t packed_place(std::size_t channel, std::size_t channels, std::size_t tap,
                         std::size_t taps) {
  const std::size_t blocks = (channels + kMaxOutBlock - 1) / kMaxOutBlock;
  const std::size_t even = channels / blocks, larger = channels % blocks;
  const std::size_t in_larger = larger * (even + 1);
  const std::size_t size = channel < in_larger ? even + 1 : even;
  const std::size_t first =
      channel < in_larger ? channel / size * size : in_larger + (channel - in_larger) / size * size;
  return first * taps + tap * size + (channel - first);
}

}  // namespace

TrainParameters::TrainParameters(TrainGraph& graph, const Network& net)
    : graph_(graph),
      values_(graph.plan.parameters),
      gradients_(graph.plan.parameters),
      moments_{AlignedFloats(graph.plan.parameters), AlignedFloats(graph.plan.parameters)},
      packed_(graph.packed),
      constants_(graph.plan.statistics),
      forward_at_(graph.plan.parameters, kUnpacked),
      backward_at_(graph.plan.parameters, kUnpacked) {
  std::size_t channels = 0;
  for (const PlanTensor& t : graph.plan.tensors) {
    const auto& data = tensor(net, t.name).data;
    std::copy(data.begin(), data.end(),
              (t.trainable ? values_.data() : constants_.data()) + t.offset);
  }
  for (const TrainNode& node : graph.nodes)
    channels = std::max({channels, node.channels * node.area, node.out_shape.size()});
  no_bias_ = AlignedFloats(channels);
  no_scale_ = AlignedFloats(channels);
  std::fill_n(no_scale_.data(), channels, 1.0f);
  for (TrainNode& node : graph.nodes) {
    if (!node.is_dense()) continue;
    map_packing(node);
    node.forward.weights = packed_.data() + node.packed_forward;
    node.forward.bias = bias(node);
    node.backward.weights = packed_.data() + node.packed_backward;
    node.backward.bias = no_bias_.data();
  }
  for (const int norm : graph.norms) {
    const TrainNode& n = graph.node(norm);
    NormState state;
    state.running_mean = tensor(net, n.name + ".running_mean").data;
    state.running_var = tensor(net, n.name + ".running_var").data;
    state.scale.resize(n.channels);
    state.shift.resize(n.channels);
    state.mean.resize(n.channels);
    state.inverse.resize(n.channels);
    state.backward.resize(n.channels);
    norms_.push_back(std::move(state));
  }
  publish(0, graph.plan.parameters);
  use_running_statistics();
}

void TrainParameters::map_packing(const TrainNode& node) {
  const auto outputs = static_cast<std::size_t>(node.forward.out_channels);
  const auto inputs = static_cast<std::size_t>(node.forward.in_channels);
  const auto window =
      static_cast<std::size_t>(node.forward.kernel) * static_cast<std::size_t>(node.forward.kernel);
  std::size_t at = node.weight;
  for (std::size_t o = 0; o < outputs; ++o)
    for (std::size_t c = 0; c < inputs; ++c)
      for (std::size_t k = 0; k < window; ++k, ++at) {
        forward_at_[at] = static_cast<std::uint32_t>(
            node.packed_forward + packed_place(o, outputs, c * window + k, inputs * window));
        // Input channels take the place of output channels, the window is turned around.
        backward_at_[at] = static_cast<std::uint32_t>(
            node.packed_backward +
            packed_place(c, inputs, o * window + (window - 1 - k), outputs * window));
      }
}

void TrainParameters::publish(std::size_t first, std::size_t last) {
  const float* values = values_.data();
  float* packed = packed_.data();
  for (std::size_t i = first; i < last; ++i) {
    if (forward_at_[i] == kUnpacked) continue;
    packed[forward_at_[i]] = values[i];
    packed[backward_at_[i]] = values[i];
  }
}

void TrainParameters::use_running_statistics() {
  for (std::size_t i = 0; i < norms_.size(); ++i) {
    const TrainNode& norm = graph_.norm(static_cast<int>(i));
    NormState& state = norms_[i];
    for (std::size_t c = 0; c < norm.channels; ++c) {
      const double gamma = scale(norm)[c], beta = bias(norm)[c];
      const double scale = gamma / std::sqrt(double{state.running_var[c]} + norm.eps);
      state.scale[c] = static_cast<float>(scale);
      state.backward[c] = {state.scale[c]};
      state.shift[c] = static_cast<float>(beta - double{state.running_mean[c]} * scale);
    }
  }
}

void TrainParameters::load(const OptimizerState& state, const OptimizerSpec& spec) {
  const auto names = moment_suffixes(spec.kind);
  for (std::size_t m = 0; m < names.size(); ++m)
    for (const PlanTensor& t : graph_.plan.tensors) {
      if (!t.trainable) continue;
      const auto found = state.slots.find(t.name + names[m]);
      float* to = moments_[m].data() + t.offset;
      if (found == state.slots.end()) {
        std::fill_n(to, t.count, 0.0f);
        continue;
      }
      if (found->second.data.size() != t.count)
        throw Error("optimiser state: '" + found->first + "' holds " +
                    std::to_string(found->second.data.size()) + " values, the parameter has " +
                    std::to_string(t.count));
      std::copy(found->second.data.begin(), found->second.data.end(), to);
    }
}

void TrainParameters::store(Network& net) const {
  for (const PlanTensor& t : graph_.plan.tensors)
    if (t.trainable)
      std::copy_n(values_.data() + t.offset, t.count, net.tensors.at(t.name).data.begin());
  for (std::size_t i = 0; i < norms_.size(); ++i) {
    const std::string& name = graph_.norm(static_cast<int>(i)).name;
    net.tensors.at(name + ".running_mean").data = norms_[i].running_mean;
    net.tensors.at(name + ".running_var").data = norms_[i].running_var;
  }
}

void TrainParameters::store(OptimizerState& state, const OptimizerSpec& spec) const {
  const auto names = moment_suffixes(spec.kind);
  state.slots.clear();
  for (std::size_t m = 0; m < names.size(); ++m)
    for (const PlanTensor& t : graph_.plan.tensors) {
      if (!t.trainable) continue;
      const float* from = moments_[m].data() + t.offset;
      state.slots[t.name + names[m]] = {{static_cast<std::int64_t>(t.count)},
                                        std::vector<float>(from, from + t.count)};
    }
}

}  // namespace smoothcert::cpu
