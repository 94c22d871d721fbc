// A network seen by training: its layers as nodes over numbered values, where each parameter lies
// in one flat array, and what a backward pass does at each node. Derived here once; the CPU backend
// (cpu/training_graph.hpp) and the CUDA backend (gpu/train_plan.hpp) add what their kernels need.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "smoothcert/device/activations.hpp"
#include "smoothcert/device/arithmetic.hpp"
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
      kNoNode;              ///< the node that alone reads it, where one does and the loss does not
  bool trains = false;      ///< a parameter lies at or below it
  bool from_image = false;  ///< it depends on the image, or is it
};

/// A layer. A flatten, a reshape, an identity and a dropout are no nodes: their output is their
/// input under another shape or name.
struct PlanNode {
  LayerKind kind{};
  std::string name;
  int in = kNoValue, in2 = kNoValue, out = kImage;  ///< values; in: all but constant
  std::vector<int> more;                            ///< concat: the third input and what follows
  ActivationShape in_shape, out_shape;              ///< in_shape as the layer sees it
  /// conv2d and pools: their windows. Those of a plain conv2d or maxpool, which the tuned kernels
  /// know, are kernel, stride and padding as well.
  WindowShape window;
  bool plain_window = false;
  int kernel = 0, stride = 1, padding = 0;
  double eps = 0, momentum = 0;     ///< normalisations; batchnorm
  std::vector<float> scale, shift;  ///< normalize: y = x·scale + shift
  Activation activation{};          ///< of the kinds that activation_of() knows
  float alpha = 0;
  int groups = 1;                 ///< groupnorm, layernorm, instancenorm
  ArithmeticShape arithmetic;     ///< add, sub, mul
  bool plain_add = false;         ///< add: of two equal shapes
  std::size_t weight = kNoPlace;  ///< place of the weight; normalisations: scale (γ); prelu: slopes
  std::size_t weight_count = 0;
  std::size_t bias = kNoPlace;  ///< place of the bias; normalisations: shift (β)
  std::size_t bias_count = 0;
  std::size_t statistics =
      kNoPlace;          ///< batchnorm: running mean, then running variance; constant: its values
  bool reached = false;  ///< the logits depend on it; other nodes are not computed

  [[nodiscard]] bool has_weight() const { return weight != kNoPlace; }
  [[nodiscard]] bool has_bias() const { return bias != kNoPlace; }
  /// A convolution of plain windows, or a linear layer.
  [[nodiscard]] bool is_dense() const {
    return kind == LayerKind::linear || (kind == LayerKind::conv2d && plain_window);
  }
  /// f(value) for each input, in order.
  template <class F>
  void for_each_input(const F& f) const {
    if (in != kNoValue) f(in);
    if (in2 != kNoValue) f(in2);
    for (const int value : more) f(value);
  }
};

/// A tensor's place, in floats: trainable ones in the array of parameters, on 16 bytes as the
/// libraries' faster kernels need; running statistics and
/// constants in one of their own.
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
  std::vector<Flow> more = {};             ///< concat: to those of PlanNode::more
  bool operator==(const BackwardStep&) const = default;
};

/// The steps in their order, the node of the logits first. For parameters, only nodes at or above
/// one; for the image, every node between it and the logits.
std::vector<BackwardStep> backward_steps(const BackwardPlan& plan, GradientOf of);

}  // namespace smoothcert
