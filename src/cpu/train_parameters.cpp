// Parameters, running statistics and optimiser moments of one training, flat, and the weights once
// more in the order the kernels read them.
#include "cpu/train_parameters.hpp"

#include <algorithm>
#include <cmath>

#include "smoothcert/error.hpp"

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

/// The moments an optimiser keeps.
std::vector<std::string> moment_names(const OptimizerSpec& spec) {
  if (spec.kind == OptimizerSpec::Kind::adam) return {"/m", "/v"};
  return {"/momentum"};
}

}  // namespace

TrainParameters::TrainParameters(TrainGraph& graph, const Network& net)
    : graph_(graph),
      values_(graph.parameters),
      gradients_(graph.parameters),
      moments_{AlignedFloats(graph.parameters), AlignedFloats(graph.parameters)},
      packed_(graph.packed),
      forward_at_(graph.parameters, kUnpacked),
      backward_at_(graph.parameters, kUnpacked) {
  std::size_t channels = 0;
  for (const TrainTensor& t : graph.tensors) {
    const auto& data = tensor(net, t.name).data;
    std::copy(data.begin(), data.end(), values_.data() + t.offset);
  }
  for (const TrainNode& node : graph.nodes)
    channels = std::max({channels, node.channels * node.area, node.out_shape.size()});
  no_bias_ = AlignedFloats(channels);
  for (TrainNode& node : graph.nodes) {
    if (node.kind != LayerKind::conv2d && node.kind != LayerKind::linear) continue;
    map_packing(node);
    node.forward.weights = packed_.data() + node.packed_forward;
    node.forward.bias = node.bias == kNone ? no_bias_.data() : values_.data() + node.bias;
    node.backward.weights = packed_.data() + node.packed_backward;
    node.backward.bias = no_bias_.data();
  }
  for (const TrainNorm& n : graph.norms) {
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
  publish(0, graph.parameters);
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
    const TrainNorm& norm = graph_.norms[i];
    NormState& state = norms_[i];
    for (std::size_t c = 0; c < norm.channels; ++c) {
      const double gamma = values_.data()[norm.gamma + c], beta = values_.data()[norm.beta + c];
      const double scale = gamma / std::sqrt(double{state.running_var[c]} + norm.eps);
      state.scale[c] = static_cast<float>(scale);
      state.backward[c] = {state.scale[c]};
      state.shift[c] = static_cast<float>(beta - double{state.running_mean[c]} * scale);
    }
  }
}

void TrainParameters::load(const OptimizerState& state, const OptimizerSpec& spec) {
  const auto names = moment_names(spec);
  for (std::size_t m = 0; m < names.size(); ++m)
    for (const TrainTensor& t : graph_.tensors) {
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
  for (const TrainTensor& t : graph_.tensors)
    std::copy_n(values_.data() + t.offset, t.count, net.tensors.at(t.name).data.begin());
  for (std::size_t i = 0; i < norms_.size(); ++i) {
    net.tensors.at(graph_.norms[i].name + ".running_mean").data = norms_[i].running_mean;
    net.tensors.at(graph_.norms[i].name + ".running_var").data = norms_[i].running_var;
  }
}

void TrainParameters::store(OptimizerState& state, const OptimizerSpec& spec) const {
  const auto names = moment_names(spec);
  state.slots.clear();
  for (std::size_t m = 0; m < names.size(); ++m)
    for (const TrainTensor& t : graph_.tensors) {
      const float* from = moments_[m].data() + t.offset;
      state.slots[t.name + names[m]] = {{static_cast<std::int64_t>(t.count)},
                                        std::vector<float>(from, from + t.count)};
    }
}

}  // namespace smoothcert::cpu
