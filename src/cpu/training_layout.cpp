// What a training step consists of, laid out once: its phases by recipe, its parameters by task.
#include "cpu/training_layout.hpp"

#include <algorithm>

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

class Layout {
 public:
  Layout(const TrainingPass& pass, const TrainRecipe& recipe, std::size_t size)
      : pass_(pass), recipe_(recipe), size_(size), phases_(1) {}

  std::vector<Phase> run() {
    append(Op::Kind::load);
    if (recipe_.regime == Regime::adversarial) {
      adversarial();
    } else {
      if (recipe_.regime == Regime::smoothing) append(Op::Kind::noise);
      training(1, false, true);
    }
    return std::move(phases_);
  }

 private:
  void append(Op::Kind kind, float scale = 1) {
    Op op;
    op.kind = kind;
    op.scale = scale;
    phases_.back().ops.push_back(op);
  }

  void adversarial() {
    const double clean = recipe_.clean_weight;
    append(Op::Kind::keep_clean);
    if (clean < 1) attack();
    if (recipe_.mixed_batch) {
      append(Op::Kind::restore_clean);
      return training(1, false, true);
    }
    if (clean > 0 && clean < 1) {
      // The attacked images wait in the clean ones' place.
      append(Op::Kind::swap_clean);
      training(clean, false, false);
      append(Op::Kind::swap_clean);
    }
    const bool both = clean > 0 && clean < 1;
    training(both ? 1 - clean : 1, both, true);
  }

  void attack() {
    const AttackSpec& attack = recipe_.attack;
    const bool pgd = is_pgd(attack);
    double length = attack.epsilon;
    if (pgd) length = attack.step_size > 0 ? attack.step_size : 2.5 * attack.epsilon / attack.steps;
    if (pgd && attack.random_start) append(Op::Kind::random_start);
    for (int i = 0; i < (pgd ? attack.steps : 1); ++i) {
      Op loss;
      loss.kind = Op::Kind::loss;
      loss.loss = attack.loss;
      pass_.append_pass(phases_, loss, recipe_.attack_mode, false);
      append(Op::Kind::attack, static_cast<float>(length));
    }
  }

  /// A pass for the parameters, on what the image value holds. `last`: the step ends with it.
  void training(double weight, bool accumulate, bool last) {
    Op loss;
    loss.kind = Op::Kind::loss;
    loss.scale = static_cast<float>(weight / static_cast<double>(size_));
    loss.share = static_cast<float>(weight);
    loss.counts = last;
    const std::size_t before = phases_.size() - 1;
    pass_.append_pass(phases_, loss, ForwardMode::train, true);
    for (std::size_t i = before; i < phases_.size(); ++i) {
      phases_[i].weights = true;
      phases_[i].accumulate = accumulate;
    }
    phases_.back().after = last ? Phase::After::update : Phase::After::collect;
    if (!last) phases_.emplace_back();
  }

  const TrainingPass& pass_;
  const TrainRecipe& recipe_;
  const std::size_t size_;
  std::vector<Phase> phases_;
};

}  // namespace

bool is_pgd(const AttackSpec& attack) {
  return attack.kind == AttackKind::pgd_l2 || attack.kind == AttackKind::pgd_linf;
}

std::vector<Phase> lay_out_step(const TrainingPass& pass, const TrainRecipe& recipe,
                                std::size_t size) {
  return Layout(pass, recipe, size).run();
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
    if (node.weight_slot != kNone) slots(node.weight, node.weight_count, node.weight_slot);
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
    if (node.bias_slot != kNone) slots(node.bias, cast(node.out_shape.channels), node.bias_slot);
  }
  for (const TrainNorm& norm : graph.norms) {
    runs.push_back({norm.gamma, norm.gamma + norm.channels});
    runs.push_back({norm.beta, norm.beta + norm.channels});
  }
  return runs;
}

}  // namespace smoothcert::cpu
