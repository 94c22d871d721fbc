// The backward plan of a network lowered to lane kernels: each node's steps, where values share
// memory, which nodes run as one.
#pragma once

#include <cstddef>
#include <vector>

#include "cpu/lane_kernels.hpp"
#include "cpu/train_kernels.hpp"
#include "train/backward_plan.hpp"

namespace smoothcert::cpu {

/// A node of the plan and how it is computed.
struct TrainNode : PlanNode {
  explicit TrainNode(const PlanNode& node);

  std::size_t channels = 0, area = 0;  ///< of the input
  bool in_place = false;               ///< relu: alone reads its input, and writes over it

  ConvStep forward;         ///< of is_dense(); `weights` and `bias` point into TrainParameters
  ConvStep backward;        ///< the same layer's gradient with respect to its input
  ConvWeightStep gradient;  ///< conv2d of plain windows
  PoolStep pool;            ///< maxpool of plain windows
  std::size_t weight_slot = kNoPlace, bias_slot = kNoPlace;  ///< offsets in a group's gradient slot
  std::size_t packed_forward = 0, packed_backward = 0;       ///< offsets in the packed weights
  int norm = -1;                                             ///< batchnorm: its number

  // Nodes that another node computes as well, so that their own step is skipped.
  bool in_forward = false;   ///< relu: the layer before it computes it
  bool in_backward = false;  ///< relu: the BatchNorm behind it computes its gradient
  bool in_norm = false;      ///< maxpool: the BatchNorm before it computes it
  int pool_out = kNoValue;   ///< batchnorm: value that receives such a pooling's output
  bool relu_in = false;      ///< batchnorm: also computes the gradient of the relu before it
};

struct TrainGraph {
  TrainGraph(const NetworkSpec& spec, int lanes);

  BackwardPlan plan;  ///< its nodes are in `nodes`
  int lanes = 0;
  std::vector<TrainNode> nodes;
  std::vector<int> memory;  ///< per value: the value in whose memory it lies, mostly itself
  std::vector<int> norms;   ///< nodes, by number
  std::size_t slot = 0;     ///< floats of one lane group's gradients
  std::size_t packed = 0;   ///< floats of the weights in the kernels' order
  std::size_t largest_value = 0;
  std::size_t largest_spread = 0;  ///< elements of a padded or dilated activation

  [[nodiscard]] const TrainNode& node(int index) const {
    return nodes[static_cast<std::size_t>(index)];
  }
  /// The batchnorm of that number.
  [[nodiscard]] const TrainNode& norm(int number) const {
    return node(norms[static_cast<std::size_t>(number)]);
  }
};

}  // namespace smoothcert::cpu
