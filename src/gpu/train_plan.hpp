// The backward plan of a network laid out for a GPU: where activations and gradients live, which
// layers run in one kernel. Host logic that needs no driver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "smoothcert/network.hpp"
#include "train/backward_plan.hpp"

namespace smoothcert::gpu {

/// One convolution over `images` images, NCHW and OIHW.
struct ConvShape {
  int images = 0;
  int in_channels = 0, in_height = 0, in_width = 0;
  int out_channels = 0, out_height = 0, out_width = 0;
  int kernel = 0, stride = 1, padding = 0;
  bool operator==(const ConvShape&) const = default;
};

/// A node of the backward plan and where it keeps what. Offsets are in floats, but for `pool`.
struct TrainLayer : PlanNode {
  TrainLayer() = default;
  explicit TrainLayer(const PlanNode& node) : PlanNode(node) {}

  std::size_t pool = 0;       ///< maxpool: which tap won, ints per image
  std::size_t saved = 0;      ///< batchnorm: mean, then 1/√(var+eps) of the last forward pass
  std::size_t moments = 0;    ///< groupnorm and its kin: the same, per image, among the values
  std::size_t constants = 0;  ///< normalize: scale, then shift; batchnorm without affine: γ, β

  // Layers that run in one kernel, since a step of a small network is bound by the number of
  // kernels. All ask that a value has one reader, and that no flatten lies between the two.
  bool bias_in_relu = false;      ///< conv2d: its bias may be added by the relu that follows
  int pooled_by = kNoNode;        ///< relu: the maxpool that follows, which takes it along
  bool gradient_by_next = false;  ///< relu: the layer that follows passes its gradient through it
  bool through_relu = false;      ///< maxpool, batchnorm: the layer before is such a relu
};

struct TrainPlan {
  BackwardPlan graph;              ///< its nodes are in `layers`
  std::vector<TrainLayer> layers;  ///< by node
  std::vector<std::size_t>
      value_at;  ///< per value, in floats per image; so is its gradient's place
  std::vector<float> constants;
  std::size_t values = 0, pools = 0;  ///< per image
  std::size_t saved = 0;

  [[nodiscard]] std::size_t place_of(int value) const {
    return value_at[static_cast<std::size_t>(value)];
  }
  [[nodiscard]] const TrainLayer& layer(int node) const {
    return layers[static_cast<std::size_t>(node)];
  }
  /// The layer that gives a layer's input; null for the image.
  [[nodiscard]] const TrainLayer* before(const TrainLayer& layer) const {
    const PlanNode* found = graph.before(layer);
    if (found == nullptr) return nullptr;
    return &layers[static_cast<std::size_t>(graph.value(layer.in).writer)];
  }
};

TrainPlan make_train_plan(const NetworkSpec& spec);

/// The convolution of a conv2d layer; of a linear one seen as a 1×1 convolution.
ConvShape conv_shape(const TrainLayer& layer, int images);

/// Floats of scratch memory that the kernels of one layer at a time need for partial sums.
std::size_t scratch_floats(const TrainPlan& plan, int images);
std::size_t scratch_floats(const ConvShape& shape);

/// Parameters or statistics of the network as the plan lays them out, and back.
std::vector<float> gather_tensors(const BackwardPlan& plan, const Network& net, bool trainable);
void scatter_tensors(const BackwardPlan& plan, const std::vector<float>& flat, bool trainable,
                     Network& net);

}  // namespace smoothcert::gpu
