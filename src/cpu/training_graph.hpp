// A network lowered for gradients: its layers as nodes over numbered values, where each parameter
// lies in one flat array, and what the backward pass has to compute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cpu/lane_kernels.hpp"
#include "cpu/train_kernels.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert::cpu {

inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// One layer. A flatten is no node (its output is the same memory), and a relu that alone reads its
/// input works in place: then out == in.
struct TrainNode {
  LayerKind kind{};
  int in = 0, in2 = 0, out = 0;  ///< value numbers; 0 is the image
  ActivationShape in_shape, out_shape;
  std::size_t channels = 0, area = 0;  ///< of the input
  bool reached = false;                ///< the logits depend on it

  ConvStep forward;         ///< conv2d, linear; `weights` and `bias` point into TrainParameters
  ConvStep backward;        ///< the same layer's gradient with respect to its input
  ConvWeightStep gradient;  ///< conv2d
  int padding = 0;          ///< conv2d: the input is padded before its weight gradient is taken
  int dilation = 1;         ///< conv2d: the stride, undone by spreading the output's gradient
  PoolStep pool;            ///< maxpool
  std::size_t weight = kNone, bias = kNone;  ///< offsets in the flat parameters
  std::size_t weight_count = 0;
  std::size_t weight_slot = kNone, bias_slot = kNone;   ///< offsets in a group's gradient slot
  std::size_t packed_forward = 0, packed_backward = 0;  ///< offsets in the packed weights
  int norm = -1;                                        ///< batchnorm: its number

  // Nodes that another node computes as well, so that their own step is skipped.
  bool in_forward = false;   ///< relu: the layer before it computes it
  bool in_backward = false;  ///< relu: the BatchNorm behind it computes its gradient
  bool in_norm = false;      ///< maxpool: the BatchNorm before it computes it
  int pool_out = -1;         ///< batchnorm: value that receives such a pooling's output; −1: none
  bool relu_in = false;      ///< batchnorm: also computes the gradient of the relu before it

  std::vector<float> scale, shift;  ///< normalize
};

struct TrainValue {
  std::size_t size = 0;  ///< elements per image
  bool trains = false;   ///< a parameter lies at or below it
};

struct TrainTensor {
  std::string name;
  std::size_t offset = 0, count = 0;
};

struct TrainNorm {
  std::string name;
  int node = 0;
  std::size_t channels = 0, area = 0;
  double eps = 0, momentum = 0;
  std::size_t gamma = 0, beta = 0;  ///< offsets in the flat parameters
};

struct TrainGraph {
  TrainGraph(const NetworkSpec& spec, int lanes);

  int lanes = 0, classes = 0, logits = 0;
  std::vector<TrainNode> nodes;    ///< topological order
  std::vector<TrainValue> values;  ///< [0] is the image
  std::vector<TrainTensor> tensors;
  std::vector<TrainNorm> norms;
  std::size_t parameters = 0;  ///< floats
  std::size_t slot = 0;        ///< floats of one lane group's gradients
  std::size_t packed = 0;      ///< floats of the weights in the kernels' order
  std::size_t largest_value = 0;
  std::size_t largest_spread = 0;  ///< elements of a padded or dilated activation
};

}  // namespace smoothcert::cpu
