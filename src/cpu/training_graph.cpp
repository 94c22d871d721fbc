// The backward plan of a network lowered to lane kernels.
#include "cpu/training_graph.hpp"

#include <algorithm>

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

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
  explicit Lowering(TrainGraph& graph) : graph_(graph) {}

  void run() {
    for (const PlanNode& node : graph_.plan.nodes) graph_.nodes.emplace_back(node);
    for (std::size_t v = 0; v < graph_.plan.values.size(); ++v)
      graph_.memory.push_back(static_cast<int>(v));
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) lower(graph_.nodes[i], i);
    fuse();
    for (const PlanValue& value : graph_.plan.values)
      graph_.largest_value = std::max(graph_.largest_value, value.shape.size());
  }

 private:
  TrainNode* before(const TrainNode& node) {
    const PlanNode* found = graph_.plan.before(node);
    return found == nullptr ? nullptr : &graph_.nodes[cast(graph_.plan.value(node.in).writer)];
  }
  /// The node that alone reads what this one gives.
  TrainNode* behind(const TrainNode& node) {
    const int reader = graph_.plan.value(node.out).only_reader;
    return reader == kNoNode ? nullptr : &graph_.nodes[cast(reader)];
  }

  /// A relu in place joins the convolution before it; a 2×2 pooling that alone reads a BatchNorm
  /// joins that, and so does the gradient of a relu in place before it that nothing else reads.
  void fuse() {
    for (TrainNode& node : graph_.nodes) {
      TrainNode* from = before(node);
      if (from == nullptr) continue;
      if (node.in_place && from->is_dense()) {
        from->forward.post_ops = 1;
        node.in_forward = true;
      }
      const PoolStep& pool = node.pool;
      if (node.kind == LayerKind::maxpool && node.reached && pool.kernel == 2 && pool.stride == 2 &&
          pool.padding == 0 && from->kind == LayerKind::batchnorm && behind(*from) == &node &&
          node.in_shape == from->out_shape) {
        node.in_norm = true;
        from->pool_out = node.out;
        TrainNode* relu = before(*from);
        if (relu != nullptr && relu->in_place && behind(*relu) == from)
          relu->in_backward = from->relu_in = true;
      }
    }
  }

  static std::size_t take(std::size_t& total, std::size_t count) {
    const std::size_t offset = total;
    total += count;
    return offset;
  }

  void slots(TrainNode& node) {
    if (node.has_weight()) node.weight_slot = take(graph_.slot, node.weight_count);
    if (node.has_bias()) node.bias_slot = take(graph_.slot, node.bias_count);
  }
  void packed(TrainNode& node) {
    node.packed_forward = take(graph_.packed, node.weight_count);
    node.packed_backward = take(graph_.packed, node.weight_count);
  }

  void conv(TrainNode& node) {
    const ActivationShape &in = node.in_shape, &out = node.out_shape;
    const int k = node.kernel;
    packed(node);

    ConvStep& f = node.forward;
    f.in_channels = in.channels;
    f.in_height = in.height;
    f.in_width = in.width;
    f.kernel = k;
    f.stride = node.stride;
    f.padding = node.padding;
    f.out_channels = out.channels;
    f.out_height = out.height;
    f.out_width = out.width;
    f.blocks = blocks_of(out.channels);
    dense_strides(f, cast(graph_.lanes));

    // dx = the full convolution of dy, spread by the stride, with the kernel turned around.
    ConvStep& b = node.backward;
    b.in_channels = out.channels;
    // Rows and columns at the end that no window reaches belong to it as well: their gradient is 0.
    b.in_height = in.height + 2 * node.padding - k + 1;
    b.in_width = in.width + 2 * node.padding - k + 1;
    b.kernel = k;
    b.padding = k - 1 - node.padding;
    b.out_channels = in.channels;
    b.out_height = in.height;
    b.out_width = in.width;
    b.blocks = blocks_of(in.channels);
    dense_strides(b, cast(graph_.lanes));

    node.gradient = {in.channels,
                     in.height + 2 * node.padding,
                     in.width + 2 * node.padding,
                     k,
                     node.stride,
                     out.channels,
                     out.height,
                     out.width};
    if (node.padding > 0)
      spread(cast(in.channels) * cast(node.gradient.in_height) * cast(node.gradient.in_width));
    if (node.stride > 1) spread(cast(out.channels) * cast(b.in_height) * cast(b.in_width));
  }
  void spread(std::size_t count) { graph_.largest_spread = std::max(graph_.largest_spread, count); }

  /// A relu may write over what it alone reads, where the gradient of the layer before does not
  /// read its own output again.
  bool writes_over(const TrainNode& relu, std::size_t index) {
    const TrainNode* from = before(relu);
    return relu.in != kImage && graph_.plan.value(relu.in).only_reader == static_cast<int>(index) &&
           (from == nullptr || from->kind != LayerKind::softmax);
  }

  void lower(TrainNode& node, std::size_t index) {
    switch (node.kind) {
      case LayerKind::conv2d:
        slots(node);
        if (node.plain_window) conv(node);
        break;
      case LayerKind::linear: {
        const auto inputs = static_cast<int>(node.in_shape.size());
        packed(node);
        if (node.has_bias()) node.bias_slot = take(graph_.slot, node.bias_count);
        node.forward = linear_step(inputs, node.out_shape.channels, cast(graph_.lanes));
        node.backward = linear_step(node.out_shape.channels, inputs, cast(graph_.lanes));
        break;
      }
      case LayerKind::batchnorm:
        node.norm = static_cast<int>(graph_.norms.size());
        graph_.norms.push_back(static_cast<int>(index));
        break;
      case LayerKind::maxpool:
        if (!node.plain_window) break;
        node.pool = {node.in_shape.channels,
                     node.in_shape.height,
                     node.in_shape.width,
                     node.out_shape.height,
                     node.out_shape.width,
                     node.kernel,
                     node.stride,
                     node.padding};
        break;
      case LayerKind::relu:
        node.in_place = writes_over(node, index);
        if (node.in_place) graph_.memory[cast(node.out)] = graph_.memory[cast(node.in)];
        break;
      case LayerKind::groupnorm:
      case LayerKind::layernorm:
      case LayerKind::instancenorm:
      case LayerKind::prelu:
        slots(node);
        break;
      case LayerKind::normalize:
      case LayerKind::add:
      case LayerKind::sub:
      case LayerKind::mul:
      case LayerKind::concat:
      case LayerKind::constant:
      case LayerKind::global_avg_pool:
      case LayerKind::avgpool:
      case LayerKind::adaptive_avgpool:
      case LayerKind::adaptive_maxpool:
      case LayerKind::leaky_relu:
      case LayerKind::relu6:
      case LayerKind::elu:
      case LayerKind::silu:
      case LayerKind::sigmoid:
      case LayerKind::tanh:
      case LayerKind::gelu:
      case LayerKind::hardswish:
      case LayerKind::softmax:
      case LayerKind::flatten:
      case LayerKind::reshape:
      case LayerKind::identity:
      case LayerKind::dropout:
        break;
    }
  }

  TrainGraph& graph_;
};

}  // namespace

TrainNode::TrainNode(const PlanNode& node)
    : PlanNode(node),
      channels(cast(node.in_shape.channels)),
      area(cast(node.in_shape.height) * cast(node.in_shape.width)) {}

TrainGraph::TrainGraph(const NetworkSpec& spec, int lane_count)
    : plan(make_backward_plan(spec)), lanes(lane_count) {
  Lowering(*this).run();
}

}  // namespace smoothcert::cpu
