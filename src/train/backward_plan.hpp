// A network seen by training: its layers as nodes over numbered values, where each parameter lies
// in one flat array, and what a backward pass does at each node. Derived here once; the CPU backend
// (cpu/training_graph.hpp) and the CUDA backend (gpu/train_plan.hpp) add what their kernels need.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "smoothcert/network_spec.hpp"

namespace smoothcert {

inline constexpr int kImage = 0;     ///< number of the value that holds the image
inline constexpr int kNoNode = -1;   ///< where a node's number could stand
inline constexpr int kNoValue = -1;  ///< where a value's number could stand
inline constexpr std::size_t kNoPlace = static_cast<std::size_t>(-1);  ///< no such parameter

/// An activation, and its gradient of the same size.
struct PlanValue {
  ActivationShape shape;  ///< as its writer gives it; a reader behind a flatten sees it flat
  int writer = kNoNode;   ///< none for the image
  int only_reader =
      kNoNode;          ///< the node that alone reads it, where one does and the loss does not
  bool trains = false;  ///< a parameter lies at or below it
};

/// A layer. A flatten is no node: its output is its input under another shape.
struct PlanNode {
  LayerKind kind{};
  std::string name;
  int in = kImage, in2 = kNoValue, out = kImage;  ///< values; in2: add
  ActivationShape in_shape, out_shape;            ///< in_shape as the layer sees it
  int kernel = 0, stride = 1, padding = 0;        ///< conv2d, maxpool
  double eps = 0, momentum = 0;                   ///< batchnorm
  std::vector<float> scale, shift;                ///< normalize: y = x·scale + shift
  std::size_t weight = kNoPlace;                  ///< place of the weight; batchnorm: γ
  std::size_t weight_count = 0;
  std::size_t bias = kNoPlace;        ///< place of the bias; batchnorm: β
  std::size_t statistics = kNoPlace;  ///< batchnorm: running mean, then running variance
  bool reached = false;               ///< the logits depend on it; other nodes are not computed

  [[nodiscard]] bool has_weight() const { return weight != kNoPlace; }
  [[nodiscard]] bool has_bias() const { return bias != kNoPlace; }
};

/// A tensor's place, in floats: trainable ones in the array of parameters, on 16 bytes as the
/// libraries' faster kernels need; running statistics in one of their own.
struct PlanTensor {
  std::string name;
  std::size_t offset = 0, count = 0;
  bool trainable = false;
};

struct BackwardPlan {
  ImageShape input;
  int classes = 0;
  int logits = kImage;            ///< value
  std::vector<PlanNode> nodes;    ///< in the network's order, which is topological
  std::vector<PlanValue> values;  ///< [kImage] is the image
  std::vector<PlanTensor> tensors;
  std::size_t parameters = 0;  ///< floats, gaps between tensors included
  std::size_t statistics = 0;  ///< floats

  [[nodiscard]] const PlanValue& value(int v) const { return values[static_cast<std::size_t>(v)]; }
  /// The node that gives a node's input; null for the image.
  [[nodiscard]] const PlanNode* before(const PlanNode& node) const;
};

/// Throws UsageError, as require_gradients() does, for a layer without a gradient.
BackwardPlan make_backward_plan(const NetworkSpec& spec);

/// What a backward pass is for.
enum class GradientOf { parameters, image };

/// What becomes of a gradient: a value that several nodes read gathers its gradient from all of
/// them. The first to come in the backward order writes it, the others add.
enum class Flow { skip, write, add };

/// The backward pass at one node, from the gradient of its output.
struct BackwardStep {
  int node = 0;
  bool parameters = false;                 ///< of its weight and bias
  Flow in = Flow::skip, in2 = Flow::skip;  ///< to the gradients of its inputs
  bool operator==(const BackwardStep&) const = default;
};

/// The steps in their order, the node of the logits first. For parameters, only nodes at or above
/// one; for the image, every node that the logits depend on.
std::vector<BackwardStep> backward_steps(const BackwardPlan& plan, GradientOf of);

}  // namespace smoothcert
