// What a training step does, worked out from its recipe: the only place that knows the regimes.
#include "train/step_program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "smoothcert/noise.hpp"

namespace smoothcert {
namespace {

using namespace step_op;

LoadBatch load(const TrainRecipe& recipe) {
  LoadBatch load{0, recipe.clamp, 0};
  if (recipe.regime != Regime::smoothing) return load;
  if (recipe.lambda > 0)
    load.split_width = noise_width(NoiseLaw::split, recipe.lambda);
  else
    load.sigma = static_cast<float>(recipe.sigma);
  return load;
}

/// Gradients of the images themselves, in evaluation mode or as training sees them.
void append_gradient(StepProgram& program, LossKind loss, ForwardMode mode) {
  program.emplace_back(Forward{mode});
  program.emplace_back(AttackLoss{loss});
  program.emplace_back(Backward{mode, GradientOf::image, false});
}

void append_attack(StepProgram& program, const AttackSpec& attack, ForwardMode mode) {
  const auto epsilon = static_cast<float>(attack.epsilon);
  const auto length = static_cast<float>(attack.step_length());
  if (attack.projected() && attack.random_start)
    program.emplace_back(RandomStart{attack.kind, epsilon});
  for (int step = 0; step < attack.step_count(); ++step) {
    append_gradient(program, attack.loss, mode);
    program.emplace_back(AttackStep{attack.kind, length, epsilon});
  }
}

/// A pass for the parameters, which carries `share` of the step's loss.
void append_training(StepProgram& program, double share, std::size_t images, bool first,
                     bool last) {
  program.emplace_back(Forward{ForwardMode::train});
  program.emplace_back(TrainingLoss{static_cast<float>(share / static_cast<double>(images)),
                                    static_cast<float>(share), first, last});
  program.emplace_back(Backward{ForwardMode::train, GradientOf::parameters, !first});
}

/// clean_weight · CE(x) + (1 − clean_weight) · CE(x'), each in a pass of its own, as two calls of a
/// module would be.
void append_both_losses(StepProgram& program, double clean_weight, std::size_t images) {
  const bool clean = clean_weight > 0, attacked = clean_weight < 1;
  if (clean) {
    // The attacked images wait in the clean ones' place.
    if (attacked) program.emplace_back(SwapClean{});
    append_training(program, clean_weight, images, true, !attacked);
    if (attacked) program.emplace_back(SwapClean{});
  }
  if (attacked) append_training(program, 1 - clean_weight, images, !clean, true);
}

void append_adversarial(StepProgram& program, const TrainRecipe& recipe, std::size_t images) {
  if (recipe.clean_weight < 1) {
    program.emplace_back(KeepClean{});
    append_attack(program, recipe.attack, recipe.attack_mode);
  }
  if (!recipe.mixed_batch) return append_both_losses(program, recipe.clean_weight, images);
  // Of a short last batch the clean share may be no image at all.
  const std::size_t clean = clean_images(recipe, images);
  if (recipe.clean_weight < 1 && clean > 0) program.emplace_back(RestoreClean{clean});
  append_training(program, 1, images, true, true);
}

const char* name_of(GradientOf of) { return of == GradientOf::image ? "image" : "parameters"; }

std::string text_of(const StepOp& op) {
  return std::visit(
      Match{
          [](const LoadBatch& o) {
            return fmt::format("load sigma={} clamp={:d} split={}", o.sigma, o.clamp,
                               o.split_width);
          },
          [](const KeepClean&) { return std::string("keep clean"); },
          [](const SwapClean&) { return std::string("swap clean"); },
          [](const RestoreClean& o) { return fmt::format("restore clean count={}", o.count); },
          [](const RandomStart& o) {
            return fmt::format("random start {} epsilon={}", to_name(o.kind), o.epsilon);
          },
          [](const Forward& o) { return fmt::format("forward {}", to_name(o.mode)); },
          [](const AttackLoss& o) { return fmt::format("attack loss {}", to_name(o.loss)); },
          [](const TrainingLoss& o) {
            return fmt::format("training loss scale={} share={} first={:d} last={:d}", o.scale,
                               o.share, o.first, o.last);
          },
          [](const Backward& o) {
            return fmt::format("backward {} {} add={:d}", name_of(o.of), to_name(o.mode), o.add);
          },
          [](const AttackStep& o) {
            return fmt::format("attack step {} length={} epsilon={}", to_name(o.kind), o.length,
                               o.epsilon);
          },
          [](const UpdateParameters& o) { return "update " + std::string(to_name(o.optimizer)); }},
      op);
}

}  // namespace

StepProgram training_program(const TrainRecipe& recipe, std::size_t images) {
  StepProgram program;
  program.emplace_back(load(recipe));
  if (recipe.regime == Regime::adversarial)
    append_adversarial(program, recipe, images);
  else
    append_training(program, 1, images, true, true);
  program.emplace_back(UpdateParameters{recipe.optimizer.kind});
  return program;
}

StepProgram gradient_program(LossKind loss) {
  StepProgram program;
  append_gradient(program, loss, ForwardMode::eval);
  return program;
}

bool uses_running_statistics(const StepProgram& program) {
  return std::any_of(program.begin(), program.end(), [](const StepOp& op) {
    const auto* forward = std::get_if<Forward>(&op);
    return forward != nullptr && forward->mode == ForwardMode::eval;
  });
}

std::string to_text(const StepProgram& program) {
  std::string text;
  for (const StepOp& op : program) text += text_of(op) + "\n";
  return text;
}

}  // namespace smoothcert
