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
#include "train/step_program.hpp"

namespace smoothcert::cpu {

/// What a lane group does: an operation of the step's program on the images or the logits, or a
/// node of one of its passes.
struct Op {
  enum class Kind {
    step,       ///< `step`
    forward,    ///< a node
    moments,    ///< BatchNorm: sums of its input
    norm_sums,  ///< BatchNorm backward: sums of its gradient
    backward,   ///< a node
  } kind = Kind::step;
  StepOp step;
  int node = 0;
  ForwardMode mode = ForwardMode::eval;
  BackwardStep gradient;  ///< backward: which gradients the node computes
};

/// Operations between two meetings of all groups, and what is done at the second one.
struct Phase {
  enum class After { nothing, forward_statistics, backward_statistics, collect, update } after{};
  std::vector<Op> ops;
  int norm = 0;                     ///< of the statistics
  bool parameters = false;          ///< its statistics are of a pass for the parameters
  bool add = false;                 ///< whose gradients add to those of an earlier pass
  OptimizerSpec::Kind optimizer{};  ///< update
};

/// What the operations read of the batch.
struct Batch {
  const std::uint8_t* const* pixels = nullptr;  ///< one 8-bit image per lane of all groups
  const std::uint32_t* ids = nullptr;           ///< their data-set indices
  const Label* labels = nullptr;
  std::size_t size = 0;  ///< images; lanes beyond repeat the last one
  std::uint64_t seed = 0, step = 0;
};

/// One thread's scratch memory.
struct Scratch {
  AlignedFloats spread, sum;
};

class TrainingPass {
 public:
  TrainingPass(const TrainGraph& graph, TrainParameters& parameters, int groups, bool slots,
               bool clean);

  /// The nodes of a pass, appended to `phases`, whose last phase goes on.
  void append(std::vector<Phase>& phases, const step_op::Forward& pass) const;
  void append(std::vector<Phase>& phases, const step_op::Backward& pass) const;

  void run(const std::vector<Op>& ops, const Batch& batch, int first_group, int end_group,
           Scratch& scratch);
  [[nodiscard]] Scratch make_scratch() const;

  /// The meetings. Counts over `images`, with running statistics updated where asked for.
  void combine_forward(int norm, std::size_t images, int groups);
  /// With the gradients of γ and β where they are wanted.
  void combine_backward(int norm, std::size_t images, int groups, bool parameters, bool add);

  float* value(int v, int group) const;
  float* gradient(int v, int group) const;
  float* slot(int group) const {
    return slots_.data() + slot_stride_ * static_cast<std::size_t>(group);
  }
  [[nodiscard]] std::size_t group_stride(int v) const {
    return graph_.plan.value(v).shape.size() * lanes_;
  }

  /// Of the last pass, in group order.
  void clear_results();
  struct Result {
    double loss = 0;
    std::uint64_t correct = 0;
  };
  [[nodiscard]] Result result(int groups) const;

 private:
  void run_one(const Op& op, const Batch& batch, int group, Scratch& scratch);
  void run_step(const StepOp& op, const Batch& batch, int group);
  void forward(const TrainNode& node, int group);
  void backward(const Op& op, const TrainNode& node, const Batch& batch, int group,
                Scratch& scratch);
  void linear(const Op& op, const TrainNode& node, int first_group, int end_group,
              Scratch& scratch);
  [[nodiscard]] NormPoolStep norm_pool(const TrainNode& node) const;
  [[nodiscard]] WindowStep window_step(const TrainNode& node) const;
  [[nodiscard]] NormStep norm_step(const TrainNode& node) const;
  /// Of a node's parameters, into the group's slot; BatchNorm's and linear layers' are elsewhere.
  void parameter_gradients(const TrainNode& node, int group, Scratch& scratch);
  /// Of the node's input into `to`.
  void gradient_of_input(const Op& op, const TrainNode& node, const Batch& batch, int group,
                         float* to, Scratch& scratch);
  /// compute(to), and `to` becomes the gradient of value v or is added to it.
  template <class F>
  void flow(int v, Flow how, int group, Scratch& scratch, const F& compute) {
    if (how == Flow::skip) return;
    float* sum = gradient(v, group);
    if (how == Flow::write) return compute(sum);
    compute(scratch.sum.data());
    lane_kernels_.add(graph_.plan.value(v).shape.size(), sum, scratch.sum.data(), sum);
  }
  void conv_weights(const TrainNode& node, int group, Scratch& scratch);
  void conv_input(const TrainNode& node, const float* grad, float* to, Scratch& scratch);
  /// Gradients of scale · loss at the logits of the group's images; returns the sum of the losses.
  double loss(LossKind kind, float scale, const Batch& batch, int group);
  void training_loss(const step_op::TrainingLoss& loss, const Batch& batch, int group);
  void random_start(const step_op::RandomStart& start, const Batch& batch, int group);
  [[nodiscard]] float* clean(int group) const {
    return clean_.data() + group_stride(kImage) * static_cast<std::size_t>(group);
  }
  int valid(const Batch& batch, int group) const;

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
};

}  // namespace smoothcert::cpu
