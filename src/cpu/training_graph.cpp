// A network lowered for gradients: its layers as nodes over numbered values, where each parameter
// lies in one flat array, and what the backward pass has to compute.
#include "cpu/training_graph.hpp"

#include <algorithm>

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

/// The layer whose memory a layer's output is: itself, or what a flatten reads. −1 is the image.
int root(const NetworkSpec& spec, int layer) {
  while (layer >= 0 && spec.layers[cast(layer)].kind == LayerKind::flatten)
    layer = spec.layers[cast(layer)].inputs[0];
  return layer;
}

std::vector<int> count_readers(const NetworkSpec& spec) {
  std::vector<int> readers(spec.layers.size(), 0);
  const auto read = [&](int layer) {
    if (layer >= 0) ++readers[cast(layer)];
  };
  for (const Layer& layer : spec.layers)
    if (layer.kind != LayerKind::flatten)
      for (const int input : layer.inputs) read(root(spec, input));
  read(root(spec, static_cast<int>(spec.layers.size()) - 1));
  return readers;
}

int blocks_of(int channels) { return (channels + kMaxOutBlock - 1) / kMaxOutBlock; }

void dense_strides(ConvStep& s, std::size_t lanes) {
  s.in_x = lanes;
  s.in_y = cast(s.in_width) * lanes;
  s.in_c = cast(s.in_height) * s.in_y;
  s.out_x = lanes;
  s.out_y = cast(s.out_width) * lanes;
  s.out_c = cast(s.out_height) * s.out_y;
}

/// Columns are lane groups.
ConvStep linear_step(int inputs, int outputs, std::size_t lanes) {
  ConvStep s;
  s.in_channels = inputs;
  s.out_channels = outputs;
  s.in_height = s.in_width = s.out_height = s.out_width = 1;
  s.blocks = blocks_of(outputs);
  s.in_c = s.out_c = lanes;
  s.in_x = s.in_y = cast(inputs) * lanes;
  s.out_x = s.out_y = cast(outputs) * lanes;
  return s;
}

class Lowering {
 public:
  Lowering(const NetworkSpec& spec, TrainGraph& graph)
      : spec_(spec), graph_(graph), readers_(count_readers(spec)), value_(spec.layers.size()) {}

  void run() {
    graph_.classes = spec_.classes;
    graph_.values.push_back({spec_.input.size(), false});
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) lower(i);
    graph_.logits = value_.back();
    std::vector<bool> needed(graph_.values.size());
    needed[cast(graph_.logits)] = true;
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
      node->reached = needed[cast(node->out)];
      if (!node->reached) continue;
      needed[cast(node->in)] = true;
      if (node->kind == LayerKind::add) needed[cast(node->in2)] = true;
    }
    fuse();
    for (const TrainValue& v : graph_.values)
      graph_.largest_value = std::max(graph_.largest_value, v.size);
  }

 private:
  /// A relu in place joins the convolution before it; a 2×2 pooling that alone reads a BatchNorm
  /// joins that, and so does the gradient of a relu in place before it that nothing else reads.
  void fuse() {
    auto& nodes = graph_.nodes;
    std::vector<int> readers(graph_.values.size());
    for (const TrainNode& node : nodes) {
      if (node.in != node.out) ++readers[cast(node.in)];
      if (node.kind == LayerKind::add) ++readers[cast(node.in2)];
    }
    ++readers[cast(graph_.logits)];
    std::vector<TrainNode*> writer(graph_.values.size(), nullptr);  // the latest so far
    for (TrainNode& node : nodes) {
      TrainNode* before = writer[cast(node.in)];
      if (node.kind == LayerKind::relu && node.in == node.out && before != nullptr &&
          (before->kind == LayerKind::conv2d || before->kind == LayerKind::linear)) {
        before->forward.post_ops = 1;
        node.in_forward = true;
      }
      const PoolStep& pool = node.pool;
      if (node.kind == LayerKind::maxpool && node.reached && pool.kernel == 2 && pool.stride == 2 &&
          pool.padding == 0 && before != nullptr && before->kind == LayerKind::batchnorm &&
          readers[cast(node.in)] == 1) {
        node.in_norm = true;
        before->pool_out = node.out;
        TrainNode* relu = writer_before(*before);
        if (relu != nullptr && relu->kind == LayerKind::relu && relu->in == relu->out &&
            readers[cast(before->in)] == 1)
          relu->in_backward = before->relu_in = true;
      }
      writer[cast(node.out)] = &node;
    }
  }
  /// The last node to write a node's input before it reads it.
  TrainNode* writer_before(const TrainNode& node) {
    TrainNode* found = nullptr;
    for (TrainNode& other : graph_.nodes) {
      if (&other == &node) break;
      if (other.out == node.in) found = &other;
    }
    return found;
  }

  int value_of(int layer) const { return layer < 0 ? 0 : value_[cast(layer)]; }
  ActivationShape shape_of(int layer) const {
    return layer < 0 ? spec_.input : spec_.layers[cast(layer)].out;
  }

  std::size_t parameter(const std::string& name, std::size_t count) {
    graph_.tensors.push_back({name, graph_.parameters, count});
    graph_.parameters += count;
    return graph_.tensors.back().offset;
  }
  static std::size_t take(std::size_t& total, std::size_t count) {
    const std::size_t offset = total;
    total += count;
    return offset;
  }

  void weights(TrainNode& node, const Layer& layer, std::size_t count) {
    node.weight = parameter(layer.name + ".weight", count);
    node.weight_count = count;
    node.packed_forward = take(graph_.packed, count);
    node.packed_backward = take(graph_.packed, count);
    if (!layer.bias) return;
    node.bias = parameter(layer.name + ".bias", cast(layer.out_channels));
    node.bias_slot = take(graph_.slot, cast(layer.out_channels));
  }

  void conv(TrainNode& node, const Layer& layer) {
    const ActivationShape &in = node.in_shape, &out = node.out_shape;
    const int k = layer.kernel;
    weights(node, layer, cast(out.channels) * cast(in.channels) * cast(k) * cast(k));
    node.weight_slot = take(graph_.slot, node.weight_count);
    node.padding = layer.padding;
    node.dilation = layer.stride;

    ConvStep& f = node.forward;
    f.in_channels = in.channels;
    f.in_height = in.height;
    f.in_width = in.width;
    f.kernel = k;
    f.stride = layer.stride;
    f.padding = layer.padding;
    f.out_channels = out.channels;
    f.out_height = out.height;
    f.out_width = out.width;
    f.blocks = blocks_of(out.channels);
    dense_strides(f, cast(graph_.lanes));

    // dx = the full convolution of dy, spread by the stride, with the kernel turned around.
    ConvStep& b = node.backward;
    b.in_channels = out.channels;
    b.in_height = (out.height - 1) * layer.stride + 1;
    b.in_width = (out.width - 1) * layer.stride + 1;
    b.kernel = k;
    b.padding = k - 1 - layer.padding;
    b.out_channels = in.channels;
    b.out_height = in.height;
    b.out_width = in.width;
    b.blocks = blocks_of(in.channels);
    dense_strides(b, cast(graph_.lanes));

    node.gradient = {in.channels,
                     in.height + 2 * layer.padding,
                     in.width + 2 * layer.padding,
                     k,
                     layer.stride,
                     out.channels,
                     out.height,
                     out.width};
    if (layer.padding > 0)
      spread(cast(in.channels) * cast(node.gradient.in_height) * cast(node.gradient.in_width));
    if (layer.stride > 1) spread(cast(out.channels) * cast(b.in_height) * cast(b.in_width));
  }
  void spread(std::size_t count) { graph_.largest_spread = std::max(graph_.largest_spread, count); }

  void batchnorm(TrainNode& node, const Layer& layer) {
    node.norm = static_cast<int>(graph_.norms.size());
    TrainNorm norm;
    norm.name = layer.name;
    norm.node = static_cast<int>(graph_.nodes.size());
    norm.channels = node.channels;
    norm.area = node.area;
    norm.eps = layer.eps;
    norm.momentum = layer.momentum;
    norm.gamma = parameter(layer.name + ".weight", node.channels);
    norm.beta = parameter(layer.name + ".bias", node.channels);
    graph_.norms.push_back(norm);
  }

  void lower(std::size_t index) {
    const Layer& layer = spec_.layers[index];
    if (layer.kind == LayerKind::flatten) {
      value_[index] = value_of(layer.inputs[0]);
      return;
    }
    TrainNode node;
    node.kind = layer.kind;
    node.in = value_of(layer.inputs[0]);
    node.in2 = layer.inputs.size() > 1 ? value_of(layer.inputs[1]) : 0;
    node.in_shape = shape_of(layer.inputs[0]);
    node.out_shape = layer.out;
    node.channels = cast(node.in_shape.channels);
    node.area = cast(node.in_shape.height) * cast(node.in_shape.width);
    bool has_parameters = false;
    switch (layer.kind) {
      case LayerKind::conv2d:
        conv(node, layer);
        has_parameters = true;
        break;
      case LayerKind::linear: {
        const auto inputs = static_cast<int>(node.in_shape.size());
        weights(node, layer, cast(inputs) * cast(layer.out_channels));
        node.forward = linear_step(inputs, layer.out_channels, cast(graph_.lanes));
        node.backward = linear_step(layer.out_channels, inputs, cast(graph_.lanes));
        has_parameters = true;
        break;
      }
      case LayerKind::batchnorm:
        batchnorm(node, layer);
        has_parameters = true;
        break;
      case LayerKind::maxpool:
        node.pool = {node.in_shape.channels, node.in_shape.height, node.in_shape.width,
                     layer.out.height,       layer.out.width,      layer.kernel,
                     layer.stride,           layer.padding};
        break;
      case LayerKind::normalize:
        for (std::size_t c = 0; c < node.channels; ++c) {
          node.scale.push_back(static_cast<float>(1.0 / double{layer.stddev[c]}));
          node.shift.push_back(
              static_cast<float>(-double{layer.mean[c]} / double{layer.stddev[c]}));
        }
        break;
      case LayerKind::relu:
      case LayerKind::add:
      case LayerKind::global_avg_pool:
      case LayerKind::flatten:
        break;
    }
    const int source = root(spec_, layer.inputs[0]);
    if (layer.kind == LayerKind::relu && source >= 0 && readers_[cast(source)] == 1) {
      node.out = node.in;
    } else {
      node.out = static_cast<int>(graph_.values.size());
      graph_.values.push_back({layer.out.size(), false});
    }
    TrainValue& out = graph_.values[cast(node.out)];
    out.trains = out.trains || has_parameters || graph_.values[cast(node.in)].trains ||
                 (layer.kind == LayerKind::add && graph_.values[cast(node.in2)].trains);
    value_[index] = node.out;
    graph_.nodes.push_back(std::move(node));
  }

  const NetworkSpec& spec_;
  TrainGraph& graph_;
  const std::vector<int> readers_;
  std::vector<int> value_;  ///< layer → value
};

}  // namespace

TrainGraph::TrainGraph(const NetworkSpec& spec, int lane_count) : lanes(lane_count) {
  Lowering(spec, *this).run();
}

}  // namespace smoothcert::cpu
