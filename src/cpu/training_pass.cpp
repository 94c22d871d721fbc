// Forward and backward passes over the lane groups of one batch, as lists of operations that are
// the same for every group; where all groups have to meet (BatchNorm in training mode), a list
// ends.
#include "cpu/training_pass.hpp"

#include <algorithm>

#include "attack/attack_steps.hpp"

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

}  // namespace

TrainingPass::TrainingPass(const TrainGraph& graph, TrainParameters& parameters, int groups,
                           bool slots, bool clean)
    : graph_(graph),
      parameters_(parameters),
      lane_kernels_(active_lane_kernels()),
      kernels_(active_train_kernels()),
      lanes_(cast(graph.lanes)),
      groups_(groups),
      results_(cast(groups)) {
  std::size_t floats = 0;
  for (std::size_t v = 0; v < graph.memory.size(); ++v) {
    const auto home = cast(graph.memory[v]);
    value_at_.push_back(home < v ? value_at_[home] : floats);
    if (home == v) floats += group_stride(static_cast<int>(v)) * cast(groups);
  }
  gradient_at_ = value_at_;
  values_ = AlignedFloats(floats);
  gradients_ = AlignedFloats(floats);
  if (clean) clean_ = AlignedFloats(group_stride(kImage) * cast(groups));
  if (slots) {
    slot_stride_ = (graph.slot + 15) / 16 * 16;
    slots_ = AlignedFloats(slot_stride_ * cast(groups));
  }
  for (const int norm : graph.norms)
    sums_.emplace_back(cast(groups) * 2 * graph.node(norm).channels);
}

float* TrainingPass::value(int v, int group) const {
  return values_.data() + value_at_[cast(v)] + group_stride(v) * cast(group);
}
float* TrainingPass::gradient(int v, int group) const {
  return gradients_.data() + gradient_at_[cast(v)] + group_stride(v) * cast(group);
}

Scratch TrainingPass::make_scratch() const {
  return {AlignedFloats(graph_.largest_spread * lanes_),
          AlignedFloats(graph_.largest_value * lanes_ * cast(groups_))};
}

int TrainingPass::valid(const Batch& batch, int group) const {
  const auto left = batch.size - std::min(batch.size, cast(group) * lanes_);
  return static_cast<int>(std::min(left, lanes_));
}

namespace {

/// All groups meet after `op`.
void append_meeting(std::vector<Phase>& phases, const Op& op, Phase::After after, int norm) {
  phases.back().ops.push_back(op);
  phases.back().after = after;
  phases.back().norm = norm;
  phases.emplace_back();
}

}  // namespace

void TrainingPass::append(std::vector<Phase>& phases, const step_op::Forward& pass) const {
  Op op;
  op.mode = pass.mode;
  for (const TrainNode& node : graph_.nodes) {
    op.node = static_cast<int>(&node - graph_.nodes.data());
    if (!node.reached || node.in_forward || node.in_norm) continue;
    if (node.kind == LayerKind::batchnorm && pass.mode == ForwardMode::train) {
      op.kind = Op::Kind::moments;
      append_meeting(phases, op, Phase::After::forward_statistics, node.norm);
    }
    op.kind = Op::Kind::forward;
    phases.back().ops.push_back(op);
  }
}

void TrainingPass::append(std::vector<Phase>& phases, const step_op::Backward& pass) const {
  Op op;
  op.mode = pass.mode;
  for (const BackwardStep& step : backward_steps(graph_.plan, pass.of)) {
    op.node = step.node;
    op.gradient = step;
    const TrainNode& node = graph_.node(step.node);
    if (node.in_backward || node.in_norm) continue;
    if (node.kind == LayerKind::batchnorm && pass.mode == ForwardMode::train) {
      op.kind = Op::Kind::norm_sums;
      phases.back().parameters = step.parameters;
      phases.back().add = pass.add;
      append_meeting(phases, op, Phase::After::backward_statistics, node.norm);
    }
    op.kind = Op::Kind::backward;
    phases.back().ops.push_back(op);
  }
}

void TrainingPass::run(const std::vector<Op>& ops, const Batch& batch, int first_group,
                       int end_group, Scratch& scratch) {
  const auto across = [&](const Op& op) {
    return (op.kind == Op::Kind::forward || op.kind == Op::Kind::backward) &&
           graph_.node(op.node).kind == LayerKind::linear;
  };
  // Group by group, so that activations stay in the cache, but for linear layers: those read each
  // weight once for all groups.
  for (std::size_t i = 0; i < ops.size();) {
    if (across(ops[i])) {
      linear(ops[i], graph_.node(ops[i].node), first_group, end_group, scratch);
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < ops.size() && !across(ops[end])) ++end;
    for (int group = first_group; group < end_group; ++group)
      for (std::size_t j = i; j < end; ++j) run_one(ops[j], batch, group, scratch);
    i = end;
  }
}

void TrainingPass::run_one(const Op& op, const Batch& batch, int group, Scratch& scratch) {
  if (op.kind == Op::Kind::step) return run_step(op.step, batch, group);  // of no node
  const TrainNode& node = graph_.node(op.node);
  switch (op.kind) {
    case Op::Kind::step:
      break;
    case Op::Kind::forward:
      forward(node, group);
      break;
    case Op::Kind::moments:
      kernels_.channel_moments(node.channels, node.area, valid(batch, group), value(node.in, group),
                               sums_[cast(node.norm)].data() + cast(group) * 2 * node.channels);
      break;
    case Op::Kind::norm_sums: {
      const float* mean = parameters_.norm(node.norm).mean.data();
      double* sums = sums_[cast(node.norm)].data() + cast(group) * 2 * node.channels;
      if (node.pool_out != kNoValue)
        kernels_.norm_pool_sums(norm_pool(node), valid(batch, group), mean, value(node.in, group),
                                gradient(node.pool_out, group), sums);
      else
        kernels_.norm_backward_sums(node.channels, node.area, valid(batch, group), mean,
                                    value(node.in, group), gradient(node.out, group), sums);
      break;
    }
    case Op::Kind::backward:
      backward(op, node, batch, group, scratch);
      break;
  }
}

void TrainingPass::run_step(const StepOp& op, const Batch& batch, int group) {
  const std::size_t pixels = graph_.plan.input.size();
  const std::size_t first = cast(group) * lanes_;
  float* const image = value(kImage, group);
  std::visit(
      Match{[&](const step_op::LoadBatch& load) {
              kernels_.load_images(batch.pixels + first, pixels, image);
              if (load.noisy())
                kernels_.add_noise(
                    {batch.ids + first, pixels, batch.seed, static_cast<std::uint32_t>(batch.step),
                     load.sigma, load.clamp, load.split_width},
                    image);
            },
            [&](const step_op::KeepClean&) { std::copy_n(image, pixels * lanes_, clean(group)); },
            [&](const step_op::SwapClean&) {
              std::swap_ranges(image, image + pixels * lanes_, clean(group));
            },
            [&](const step_op::RestoreClean& restore) {
              const std::size_t count =
                  std::min(lanes_, restore.count - std::min(restore.count, first));
              for (std::size_t p = 0; p < pixels; ++p)
                std::copy_n(clean(group) + p * lanes_, count, image + p * lanes_);
            },
            [&](const step_op::RandomStart& start) { random_start(start, batch, group); },
            [&](const step_op::AttackLoss& attack) { loss(attack.loss, 1, batch, group); },
            [&](const step_op::TrainingLoss& training) { training_loss(training, batch, group); },
            [&](const step_op::AttackStep& attack) {
              kernels_.attack_step(attack.kind, pixels, gradient(kImage, group), attack.length,
                                   image);
              kernels_.project(attack.kind, pixels, clean(group), attack.epsilon, image);
            },
            // Passes are operations of their own by now, and the update is training.cpp's.
            [](const step_op::Forward&) {}, [](const step_op::Backward&) {},
            [](const step_op::UpdateParameters&) {}},
      op);
}

void TrainingPass::forward(const TrainNode& node, int group) {
  const float* in = node.in == kNoValue ? nullptr : value(node.in, group);
  float* out = value(node.out, group);
  switch (node.kind) {
    case LayerKind::conv2d:
      if (node.plain_window)
        lane_kernels_.conv(node.forward, node.forward.out_width, in, out);
      else
        lane_kernels_.window_conv(window_step(node), in, out);
      break;
    case LayerKind::relu:
      lane_kernels_.relu(node.channels * node.area, in, out);
      break;
    case LayerKind::batchnorm: {
      const NormState& norm = parameters_.norm(node.norm);
      if (node.pool_out != kNoValue)
        kernels_.norm_pool(norm_pool(node), in, value(node.pool_out, group));
      else
        lane_kernels_.affine(node.channels, node.area, norm.scale.data(), norm.shift.data(), in,
                             out);
      break;
    }
    case LayerKind::normalize:
      lane_kernels_.affine(node.channels, node.area, node.scale.data(), node.shift.data(), in, out);
      break;
    case LayerKind::maxpool:
    case LayerKind::adaptive_maxpool:
      if (node.plain_window)
        lane_kernels_.maxpool(node.pool, in, out);
      else
        lane_kernels_.window_max(node.window, in, out);
      break;
    case LayerKind::avgpool:
    case LayerKind::adaptive_avgpool:
      lane_kernels_.window_mean(node.window, in, out);
      break;
    case LayerKind::add:
    case LayerKind::sub:
    case LayerKind::mul:
      if (node.plain_add)
        lane_kernels_.add(node.channels * node.area, in, value(node.in2, group), out);
      else
        lane_kernels_.arithmetic(node.arithmetic, in, value(node.in2, group), out);
      break;
    case LayerKind::concat:
      node.for_each_input([&](int v) { out = std::copy_n(value(v, group), group_stride(v), out); });
      break;
    case LayerKind::constant:
      lane_kernels_.fill(node.out_shape.size(), parameters_.constant(node), out);
      break;
    case LayerKind::global_avg_pool:
      lane_kernels_.global_avg_pool(node.channels, node.area, 1.0f / static_cast<float>(node.area),
                                    in, out);
      break;
    case LayerKind::leaky_relu:
    case LayerKind::relu6:
    case LayerKind::elu:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::gelu:
    case LayerKind::hardswish:
      lane_kernels_.activate(node.activation, node.alpha, node.channels * node.area, in, out);
      break;
    case LayerKind::prelu:
      lane_kernels_.prelu(node.weight_count, node.channels * node.area / node.weight_count,
                          parameters_.scale(node), in, out);
      break;
    case LayerKind::softmax:
      lane_kernels_.softmax(node.channels, node.area, in, out);
      break;
    case LayerKind::groupnorm:
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
      lane_kernels_.norm(norm_step(node), in, out);
      break;
    case LayerKind::linear:  // across groups, in linear()
    case LayerKind::flatten:
    case LayerKind::reshape:
    case LayerKind::identity:
    case LayerKind::dropout:
      break;  // no nodes
  }
}

WindowStep TrainingPass::window_step(const TrainNode& node) const {
  return {node.window, parameters_.scale(node), parameters_.bias(node)};
}

NormStep TrainingPass::norm_step(const TrainNode& node) const {
  return {cast(node.groups),
          node.channels,
          node.area,
          static_cast<float>(node.eps),
          node.kind == LayerKind::layernorm,
          parameters_.scale(node),
          parameters_.bias(node)};
}

NormPoolStep TrainingPass::norm_pool(const TrainNode& node) const {
  const NormState& norm = parameters_.norm(node.norm);
  return {static_cast<int>(node.channels),
          node.in_shape.height,
          node.in_shape.width,
          norm.scale.data(),
          norm.shift.data(),
          node.relu_in};
}

void TrainingPass::linear(const Op& op, const TrainNode& node, int first_group, int end_group,
                          Scratch& scratch) {
  const int groups = end_group - first_group;
  if (op.kind == Op::Kind::forward) {
    for (int group = first_group; group < end_group; group += kGroups)
      lane_kernels_.conv(node.forward, std::min(kGroups, end_group - group), value(node.in, group),
                         value(node.out, group));
    return;
  }
  if (op.gradient.parameters && node.has_bias())
    for (int group = first_group; group < end_group; ++group)
      kernels_.channel_sums(node.out_shape.size(), 1, gradient(node.out, group),
                            slot(group) + node.bias_slot);
  if (op.gradient.in == Flow::skip) return;
  const bool adds = op.gradient.in == Flow::add;
  float* to = adds ? scratch.sum.data() : gradient(node.in, first_group);
  for (int group = 0; group < groups; group += kGroups)
    lane_kernels_.conv(node.backward, std::min(kGroups, groups - group),
                       gradient(node.out, first_group + group),
                       to + group_stride(node.in) * cast(group));
  if (!adds) return;
  float* sum = gradient(node.in, first_group);
  lane_kernels_.add(node.channels * node.area * cast(groups), sum, to, sum);
}

/// A fresh start every step: the step takes the place of the restart in the counter.
void TrainingPass::random_start(const step_op::RandomStart& ball, const Batch& batch, int group) {
  const std::size_t pixels = graph_.plan.input.size();
  float* image = value(kImage, group);
  std::vector<float> centre(pixels), start(pixels);
  for (std::size_t l = 0; l < lanes_; ++l) {
    for (std::size_t p = 0; p < pixels; ++p) centre[p] = clean(group)[p * lanes_ + l];
    attack_detail::random_start(ball.kind, centre, ball.epsilon, batch.seed,
                                batch.ids[cast(group) * lanes_ + l],
                                static_cast<std::uint32_t>(batch.step), start);
    for (std::size_t p = 0; p < pixels; ++p) image[p * lanes_ + l] = start[p];
  }
}

}  // namespace smoothcert::cpu
