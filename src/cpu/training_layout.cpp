// A training step laid out for threads: its program as phases, its parameters as tasks.
#include "cpu/training_layout.hpp"

#include <algorithm>
#include <stdexcept>

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

}  // namespace

std::vector<Phase> lay_out_step(const TrainingPass& pass, const StepProgram& program) {
  std::vector<Phase> phases(1);
  for (const StepOp& op : program) {
    if (const auto* forward = std::get_if<step_op::Forward>(&op)) {
      pass.append(phases, *forward);
    } else if (const auto* backward = std::get_if<step_op::Backward>(&op)) {
      pass.append(phases, *backward);
      if (backward->of == GradientOf::image) continue;
      phases.back().after = Phase::After::collect;
      phases.back().add = backward->add;
      phases.emplace_back();
    } else if (const auto* update = std::get_if<step_op::UpdateParameters>(&op)) {
      // Each parameter is updated as soon as its gradient is complete.
      if (phases.size() < 2 || !phases.back().ops.empty() ||
          phases[phases.size() - 2].after != Phase::After::collect)
        throw std::logic_error("training step: an update must follow a pass for the parameters");
      phases[phases.size() - 2].after = Phase::After::update;
      phases[phases.size() - 2].optimizer = update->optimizer;
    } else {
      Op step;
      step.step = op;
      phases.back().ops.push_back(std::move(step));
    }
  }
  if (phases.back().ops.empty()) phases.pop_back();
  return phases;
}

std::vector<ParameterRun> split_parameters(const TrainGraph& graph) {
  constexpr std::size_t kRun = 8192;
  std::vector<ParameterRun> runs;
  const auto slots = [&](std::size_t first, std::size_t count, std::size_t slot) {
    for (std::size_t i = 0; i < count; i += kRun)
      runs.push_back({first + i, first + std::min(count, i + kRun), ParameterRun::Source::slots,
                      slot + i, nullptr, 0, 0});
  };
  for (const TrainNode& node : graph.nodes) {
    if (node.weight_slot != kNoPlace) slots(node.weight, node.weight_count, node.weight_slot);
    if (node.kind == LayerKind::linear) {
      const auto inputs = static_cast<int>(node.in_shape.size());
      const int outputs = node.forward.out_channels;
      const int rows = std::max(static_cast<int>(kRun) / inputs / 4 * 4, 4);
      for (int row = 0; row < outputs; row += rows) {
        const int end = std::min(outputs, row + rows);
        runs.push_back({node.weight + cast(row) * cast(inputs),
                        node.weight + cast(end) * cast(inputs), ParameterRun::Source::linear, 0,
                        &node, row, end});
      }
    }
    if (node.bias_slot != kNoPlace) slots(node.bias, node.bias_count, node.bias_slot);
  }
  for (const int norm : graph.norms) {
    const TrainNode& node = graph.node(norm);
    if (!node.has_weight()) continue;
    runs.push_back({node.weight, node.weight + node.channels});
    runs.push_back({node.bias, node.bias + node.channels});
  }
  return runs;
}

}  // namespace smoothcert::cpu
