// Forward and backward passes over the lane groups of one batch, as lists of operations that are
// the same for every group; where all groups have to meet (BatchNorm in training mode), a list
// ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/aligned_floats.hpp"
#include "cpu/lane_kernels.hpp"
#include "cpu/train_kernels.hpp"
#include "cpu/train_parameters.hpp"
#include "cpu/training_graph.hpp"
#include "smoothcert/label.hpp"

namespace smoothcert::cpu {

struct Op {
  enum class Kind {
    load,           ///< the batch's images into the image value
    noise,          ///< training noise onto them
    keep_clean,     ///< a copy of the image value, for attacks
    swap_clean,     ///< exchanges the two
    restore_clean,  ///< the kept copy back, for the batch's first `clean` images
    random_start,   ///< PGD
    forward,        ///< a node
    moments,        ///< BatchNorm: sums of its input
    loss,           ///< and its gradient at the logits
    norm_sums,      ///< BatchNorm backward: sums of its gradient
    backward,       ///< a node
    attack,         ///< a step along the image's gradient, and back into the ball
  } kind;
  int node = 0;
  ForwardMode mode = ForwardMode::eval;
  bool weights = false;  ///< backward: of the parameters; otherwise of the image
  LossKind loss = LossKind::cross_entropy;
  float scale = 1;      ///< loss: of its gradient; attack: the length of the step
  float share = 0;      ///< loss: of the step's reported loss, 0 for attacks
  bool counts = false;  ///< loss: gives the step's accuracy
};

/// Operations between two meetings of all groups, and what is combined at the second one.
struct Phase {
  enum class After { nothing, forward_statistics, backward_statistics, collect, update } after{};
  std::vector<Op> ops;
  int norm = 0;             ///< of the statistics
  bool weights = false;     ///< part of a training pass
  bool accumulate = false;  ///< its gradients add to those of an earlier pass of the step
};

/// What the operations read of the batch.
struct Batch {
  const std::uint8_t* const* pixels = nullptr;  ///< one 8-bit image per lane of all groups
  const std::uint32_t* ids = nullptr;           ///< their data-set indices
  const Label* labels = nullptr;
  std::size_t size = 0;  ///< images; lanes beyond repeat the last one
  std::uint64_t seed = 0, step = 0;
  float sigma = 0;
  bool clamp = true;
  std::uint32_t split_width = 0;  ///< of splitting noise; 0: Gaussian
  std::size_t clean = 0;          ///< mixed batches: so many of its first images stay clean
  AttackSpec attack;
};

/// One thread's scratch memory.
struct Scratch {
  AlignedFloats spread, sum;
};

class TrainingPass {
 public:
  TrainingPass(const TrainGraph& graph, TrainParameters& parameters, int groups, bool slots,
               bool clean);

  /// The operations of a forward and a backward pass, appended to `phases`, whose last phase goes
  /// on. `loss` is the loss op in between.
  void append_pass(std::vector<Phase>& phases, const Op& loss, ForwardMode mode,
                   bool weights) const;

  void run(const std::vector<Op>& ops, const Batch& batch, int first_group, int end_group,
           Scratch& scratch);
  [[nodiscard]] Scratch make_scratch() const;

  /// The meetings. Counts over `images`, with running statistics updated where asked for.
  void combine_forward(int norm, std::size_t images, int groups);
  void combine_backward(int norm, std::size_t images, int groups, bool weights, bool accumulate);

  float* value(int v, int group) const;
  float* gradient(int v, int group) const;
  float* slot(int group) const {
    return slots_.data() + slot_stride_ * static_cast<std::size_t>(group);
  }
  [[nodiscard]] std::size_t group_stride(int v) const {
    return graph_.values[static_cast<std::size_t>(v)].size * lanes_;
  }

  /// Of the last pass, in group order.
  void clear_results();
  struct Result {
    double loss = 0;
    std::uint64_t correct = 0;
  };
  [[nodiscard]] Result result(int groups) const;

 private:
  struct Target;
  void run_one(const Op& op, const Batch& batch, int group, Scratch& scratch);
  void forward(const TrainNode& node, int group);
  void backward(const Op& op, const TrainNode& node, const Batch& batch, int group,
                Scratch& scratch);
  void linear(const Op& op, const TrainNode& node, int first_group, int end_group,
              Scratch& scratch);
  [[nodiscard]] NormPoolStep norm_pool(const TrainNode& node) const;
  void conv_weights(const TrainNode& node, int group, Scratch& scratch);
  void conv_input(const TrainNode& node, const float* grad, float* to, Scratch& scratch);
  void loss(const Op& op, const Batch& batch, int group);
  void random_start(const Batch& batch, int group);
  int valid(const Batch& batch, int group) const;
  bool adds(const Op& op, bool second) const;

  const TrainGraph& graph_;
  TrainParameters& parameters_;
  const LaneKernels& lane_kernels_;
  const TrainKernels& kernels_;
  const std::size_t lanes_;
  const int groups_;
  std::vector<std::size_t> value_at_, gradient_at_;
  AlignedFloats values_, gradients_, clean_, slots_;
  std::size_t slot_stride_ = 0;
  std::vector<std::vector<double>> sums_;  ///< per norm: [group][channel][2]
  std::vector<Result> results_;            ///< per group
  std::vector<bool> adds_, adds2_;         ///< per node: its (second) input's gradient adds
};

}  // namespace smoothcert::cpu
