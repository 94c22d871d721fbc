// A network laid out for training on a GPU: where activations, gradients, parameters and statistics
// live, and what the backward pass has to do. Host logic that needs no driver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert::gpu {

/// One convolution over `images` images, NCHW and OIHW.
struct ConvShape {
  int images = 0;
  int in_channels = 0, in_height = 0, in_width = 0;
  int out_channels = 0, out_height = 0, out_width = 0;
  int kernel = 0, stride = 1, padding = 0;
  bool operator==(const ConvShape&) const = default;
};

/// Offsets are in floats per image for values, in floats for everything else.
struct TrainLayer {
  LayerKind kind{};
  std::string name;
  int in = -1, in2 = -1;  ///< layer indices, −1 is the image
  ActivationShape in_shape, out_shape;
  int kernel = 0, stride = 1, padding = 0;
  bool has_bias = false;
  float eps = 0, momentum = 0;
  std::size_t value = 0;       ///< output and its gradient; flatten shares its input's
  std::size_t pool = 0;        ///< maxpool: which tap won, ints per image
  std::size_t weight = 0;      ///< conv2d, linear: weight; batchnorm: γ
  std::size_t bias = 0;        ///< conv2d, linear: bias; batchnorm: β
  std::size_t statistics = 0;  ///< batchnorm: running mean, then running variance
  std::size_t saved = 0;       ///< batchnorm: mean, then 1/√(var+eps) of the last forward pass
  std::size_t constants = 0;   ///< normalize: scale, then shift

  // Backward. A value read by several layers gathers its gradient from all of them: the first one
  // to run (the last layer) writes, the others add.
  bool reached = false;  ///< the loss depends on this layer
  bool adds_to_in = false, adds_to_in2 = false;
  bool in_trains = false, in2_trains = false;  ///< a parameter lies at or below that input

  // Layers that run in one kernel, since a step of a small network is bound by the number of
  // kernels. All ask that a value has one reader.
  bool bias_in_relu = false;      ///< conv2d: its bias may be added by the relu that follows
  int pooled_by = -1;             ///< relu: the maxpool that follows, which takes it along
  bool gradient_by_next = false;  ///< relu: the layer that follows passes its gradient through it
  bool through_relu = false;      ///< maxpool, batchnorm: the layer before is such a relu
};

struct TrainTensor {
  std::string name;
  std::size_t offset = 0, count = 0;  ///< in parameters or in statistics
  bool trainable = false;
};

struct TrainPlan {
  ImageShape input;
  int classes = 0;
  std::vector<TrainLayer> layers;
  std::vector<TrainTensor> tensors;
  std::vector<float> constants;
  std::size_t image = 0;              ///< offset of the image's value
  std::size_t values = 0, pools = 0;  ///< per image
  std::size_t parameters = 0, statistics = 0, saved = 0;

  [[nodiscard]] std::size_t value_of(int layer) const {
    return layer < 0 ? image : layers[static_cast<std::size_t>(layer)].value;
  }
  [[nodiscard]] int logits() const { return static_cast<int>(layers.size()) - 1; }
};

TrainPlan make_train_plan(const NetworkSpec& spec);

/// The convolution of a conv2d layer; of a linear one seen as a 1×1 convolution.
ConvShape conv_shape(const TrainLayer& layer, int images);

/// Floats of scratch memory that the kernels of one layer at a time need for partial sums.
std::size_t scratch_floats(const TrainPlan& plan, int images);
std::size_t scratch_floats(const ConvShape& shape);

/// Parameters and statistics of the network as the plan lays them out, and back.
std::vector<float> gather_tensors(const TrainPlan& plan, const Network& net, bool trainable);
void scatter_tensors(const TrainPlan& plan, const std::vector<float>& flat, bool trainable,
                     Network& net);

}  // namespace smoothcert::gpu
