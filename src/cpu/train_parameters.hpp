// Parameters, running statistics and optimiser moments of one training, flat, and the weights once
// more in the order the kernels read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/aligned_floats.hpp"
#include "cpu/train_kernels.hpp"
#include "cpu/training_graph.hpp"
#include "smoothcert/epoch.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert::cpu {

/// One BatchNorm layer between a forward pass and its backward pass.
struct NormState {
  std::vector<float> running_mean, running_var;
  std::vector<float> scale, shift;  ///< y = x·scale + shift
  std::vector<float> mean;          ///< of the batch (training mode)
  std::vector<double> inverse;      ///< 1/√(variance + eps)
  std::vector<NormBackward> backward;
};

class TrainParameters {
 public:
  /// Points the nodes' weights and biases into itself. Throws Error where a tensor is missing.
  TrainParameters(TrainGraph& graph, const Network& net);

  /// Moments of the optimiser from a state; missing slots start at zero. Throws Error for a slot of
  /// another shape.
  void load(const OptimizerState& state, const OptimizerSpec& spec);
  void store(Network& net) const;
  void store(OptimizerState& state, const OptimizerSpec& spec) const;

  /// Copies the parameters [first, last) into the packed weights.
  void publish(std::size_t first, std::size_t last);

  /// Scales and shifts of evaluation mode, folded as make_inference_plan() does.
  void use_running_statistics();

  float* values() { return values_.data(); }
  float* gradients() { return gradients_.data(); }
  float* moment(int i) { return moments_[i].data(); }
  /// A layer's weight or scale, ones where it has none; its bias or shift, zeros where it has none.
  [[nodiscard]] const float* scale(const PlanNode& node) const {
    return node.has_weight() ? values_.data() + node.weight : no_scale_.data();
  }
  [[nodiscard]] const float* bias(const PlanNode& node) const {
    return node.has_bias() ? values_.data() + node.bias : no_bias_.data();
  }
  /// The values of a constant.
  [[nodiscard]] const float* constant(const PlanNode& node) const {
    return constants_.data() + node.statistics;
  }
  NormState& norm(int i) { return norms_[static_cast<std::size_t>(i)]; }

 private:
  void map_packing(const TrainNode& node);

  const TrainGraph& graph_;
  AlignedFloats values_, gradients_, moments_[2], packed_, constants_, no_bias_, no_scale_;
  std::vector<std::uint32_t> forward_at_, backward_at_;  ///< parameter → place in packed_
  std::vector<NormState> norms_;
};

}  // namespace smoothcert::cpu
