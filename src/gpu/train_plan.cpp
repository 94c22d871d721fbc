// The backward plan of a network laid out for a GPU.
#include "gpu/train_plan.hpp"

#include <algorithm>

#include "gpu/slices.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
namespace {

/// Values start on 128-byte lines whatever the number of images, so that vector loads are aligned.
std::size_t padded(std::size_t floats) { return (floats + 31) / 32 * 32; }

class Planner {
 public:
  explicit Planner(const NetworkSpec& spec) { plan_.graph = make_backward_plan(spec); }

  TrainPlan run() {
    for (const PlanValue& value : plan_.graph.values) {
      plan_.value_at.push_back(plan_.values);
      plan_.values += padded(value.shape.size());
    }
    for (const PlanNode& node : plan_.graph.nodes) {
      plan_.layers.emplace_back(node);
      place(plan_.layers.back());
    }
    for (TrainLayer& layer : plan_.layers)
      if (layer.kind == LayerKind::relu) join(layer);
    return std::move(plan_);
  }

 private:
  void constants(TrainLayer& layer, const std::vector<float>& scale,
                 const std::vector<float>& shift) {
    layer.constants = plan_.constants.size();
    for (const auto* part : {&scale, &shift})
      plan_.constants.insert(plan_.constants.end(), part->begin(), part->end());
  }

  void place(TrainLayer& layer) {
    const auto channels = static_cast<std::size_t>(layer.in_shape.channels);
    switch (layer.kind) {
      case LayerKind::batchnorm:
        layer.saved = plan_.saved;
        plan_.saved += 2 * channels;
        if (!layer.has_weight())
          constants(layer, std::vector<float>(channels, 1.0f), std::vector<float>(channels));
        break;
      case LayerKind::normalize:
        constants(layer, layer.scale, layer.shift);
        break;
      case LayerKind::maxpool:
      case LayerKind::adaptive_maxpool:
        layer.pool = plan_.pools;
        plan_.pools += layer.out_shape.size();
        break;
      case LayerKind::groupnorm:
      case LayerKind::layernorm:
      case LayerKind::instancenorm:
        layer.moments = plan_.values;
        plan_.values += padded(2 * static_cast<std::size_t>(layer.groups));
        break;
      case LayerKind::conv2d:
      case LayerKind::relu:
      case LayerKind::flatten:
      case LayerKind::linear:
      case LayerKind::add:
      case LayerKind::global_avg_pool:
      case LayerKind::avgpool:
      case LayerKind::adaptive_avgpool:
      case LayerKind::leaky_relu:
      case LayerKind::relu6:
      case LayerKind::prelu:
      case LayerKind::elu:
      case LayerKind::silu:
      case LayerKind::sigmoid:
      case LayerKind::tanh:
      case LayerKind::gelu:
      case LayerKind::hardswish:
      case LayerKind::softmax:
      case LayerKind::concat:
      case LayerKind::mul:
      case LayerKind::sub:
      case LayerKind::constant:
      case LayerKind::reshape:
      case LayerKind::identity:
      case LayerKind::dropout:
        break;
    }
  }

  /// The layer that alone reads what this one gives, and sees it in the same shape.
  TrainLayer* behind(const TrainLayer& layer) {
    const int reader = plan_.graph.value(layer.out).only_reader;
    if (reader == kNoNode) return nullptr;
    TrainLayer& found = plan_.layers[static_cast<std::size_t>(reader)];
    return found.in_shape == layer.out_shape ? &found : nullptr;
  }

  /// A relu with the layers before and after it.
  void join(TrainLayer& relu) {
    const int writer = plan_.graph.value(relu.in).writer;
    if (writer == kNoNode) return;
    TrainLayer& before = plan_.layers[static_cast<std::size_t>(writer)];
    if (behind(before) != &relu) return;
    before.bias_in_relu =
        before.kind == LayerKind::conv2d && before.is_dense() && before.has_bias();
    TrainLayer* const after = behind(relu);
    if (after == nullptr) return;
    const bool pooled = after->kind == LayerKind::maxpool && after->plain_window;
    if (pooled) relu.pooled_by = static_cast<int>(after - plan_.layers.data());
    relu.gradient_by_next = after->through_relu = pooled || after->kind == LayerKind::batchnorm;
  }

  TrainPlan plan_;
};

}  // namespace

TrainPlan make_train_plan(const NetworkSpec& spec) { return Planner(spec).run(); }

ConvShape conv_shape(const TrainLayer& layer, int images) {
  if (layer.kind == LayerKind::linear) {
    return {
        images, static_cast<int>(layer.in_shape.size()), 1, 1, layer.out_shape.channels, 1, 1, 1, 1,
        0};
  }
  return {images,
          layer.in_shape.channels,
          layer.in_shape.height,
          layer.in_shape.width,
          layer.out_shape.channels,
          layer.out_shape.height,
          layer.out_shape.width,
          layer.kernel,
          layer.stride,
          layer.padding};
}

std::size_t scratch_floats(const ConvShape& s) {
  const auto values = static_cast<std::uint64_t>(s.images) *
                      static_cast<std::uint64_t>(s.out_height) *
                      static_cast<std::uint64_t>(s.out_width);
  const auto out = static_cast<std::size_t>(s.out_channels);
  const auto weights =
      out * static_cast<std::size_t>(s.in_channels) * static_cast<std::size_t>(s.kernel * s.kernel);
  return slice_count(values) * (weights + out);
}

std::size_t scratch_floats(const TrainPlan& plan, int images) {
  std::size_t most = 0;
  for (const TrainLayer& layer : plan.layers) {
    if (layer.kind == LayerKind::conv2d && layer.is_dense()) {
      most = std::max(most, scratch_floats(conv_shape(layer, images)));
    } else if (layer.kind == LayerKind::conv2d) {  // its bias
      const auto values = static_cast<std::uint64_t>(images) *
                          static_cast<std::uint64_t>(layer.out_shape.height) *
                          static_cast<std::uint64_t>(layer.out_shape.width);
      most = std::max(most, slice_count(values) * layer.bias_count);
    } else if (layer.kind == LayerKind::linear) {
      most = std::max(most, slice_count(static_cast<std::uint64_t>(images)) *
                                static_cast<std::size_t>(layer.out_shape.channels));
    } else if (layer.kind == LayerKind::batchnorm) {
      const auto values = static_cast<std::uint64_t>(images) *
                          static_cast<std::uint64_t>(layer.in_shape.height) *
                          static_cast<std::uint64_t>(layer.in_shape.width);
      most = std::max(most,
                      2 * slice_count(values) * static_cast<std::size_t>(layer.in_shape.channels));
    }
  }
  return most;
}

std::vector<float> gather_tensors(const BackwardPlan& plan, const Network& net, bool trainable) {
  std::vector<float> flat(trainable ? plan.parameters : plan.statistics);
  for (const PlanTensor& t : plan.tensors) {
    if (t.trainable != trainable) continue;
    const auto found = net.tensors.find(t.name);
    if (found == net.tensors.end() || found->second.data.size() != t.count) {
      throw Error("network: tensor '" + t.name + "' is missing or has the wrong size");
    }
    std::copy(found->second.data.begin(), found->second.data.end(),
              flat.begin() + static_cast<std::ptrdiff_t>(t.offset));
  }
  return flat;
}

void scatter_tensors(const BackwardPlan& plan, const std::vector<float>& flat, bool trainable,
                     Network& net) {
  for (const PlanTensor& t : plan.tensors) {
    if (t.trainable != trainable) continue;
    const auto first = flat.begin() + static_cast<std::ptrdiff_t>(t.offset);
    net.tensors.at(t.name).data.assign(first, first + static_cast<std::ptrdiff_t>(t.count));
  }
}

}  // namespace smoothcert::gpu
