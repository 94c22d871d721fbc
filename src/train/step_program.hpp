// What a training step does, worked out from its recipe once: a list of operations on one batch,
// which the CPU backend (cpu/training_layout.cpp) and the CUDA backend (cuda/train/train_step.cpp)
// carry out in this order. Data only. Who adds a regime or an attack of several parts adds it here.
//
// The operations share the batch's `images` (N × CHW floats, the network's input), a second array
// `clean` of the same size, the labels, and the network's values and gradients. Draws depend on the
// training's seed, the image's index in the data set and the global step (device/philox.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "smoothcert/attack_spec.hpp"
#include "smoothcert/recipe.hpp"
#include "train/backward_plan.hpp"

namespace smoothcert {
namespace step_op {

/// images = the batch's pixels in [0,1]: for split_width > 0 with splitting noise of that width,
/// for sigma > 0 with continuous Gaussian noise of that σ (purpose train_noise), clamped to [0,1]
/// where `clamp`.
struct LoadBatch {
  float sigma = 0;
  bool clamp = true;
  std::uint32_t split_width = 0;
  [[nodiscard]] bool noisy() const { return sigma > 0 || split_width > 0; }
  bool operator==(const LoadBatch&) const = default;
};
/// clean = images.
struct KeepClean {
  bool operator==(const KeepClean&) const = default;
};
/// images ↔ clean.
struct SwapClean {
  bool operator==(const SwapClean&) const = default;
};
/// The first `count` ≥ 1 images are the clean ones again.
struct RestoreClean {
  std::size_t count = 0;
  bool operator==(const RestoreClean&) const = default;
};
/// images = points drawn uniformly from the ε-balls around the clean ones, clamped to [0,1]
/// (purpose attack_start, with the global step in the place of the restart).
struct RandomStart {
  AttackKind kind{};
  float epsilon = 0;
  bool operator==(const RandomStart&) const = default;
};
/// Logits of the images, and every value that a backward pass reads.
struct Forward {
  ForwardMode mode = ForwardMode::eval;
  bool operator==(const Forward&) const = default;
};
/// Gradient of the sum of the images' losses at the logits.
struct AttackLoss {
  LossKind loss = LossKind::cross_entropy;
  bool operator==(const AttackLoss&) const = default;
};
/// Gradient of scale · Σ cross-entropy at the logits; the step reports share · the mean loss,
/// summed over its losses, and the accuracy of the last one.
struct TrainingLoss {
  float scale = 1;    ///< share / N
  float share = 1;    ///< of the step's loss
  bool first = true;  ///< starts the sum of the reported loss
  bool last = true;   ///< ends it, and gives the accuracy
  bool operator==(const TrainingLoss&) const = default;
};
/// From the gradient at the logits to that of the parameters, or of the images.
struct Backward {
  ForwardMode mode = ForwardMode::eval;  ///< of the forward pass before it
  GradientOf of = GradientOf::image;
  bool add = false;  ///< parameters: to the gradients of the pass before, instead of over them
  bool operator==(const Backward&) const = default;
};
/// One step of the attack along the images' gradient, and back into the ε-ball around the clean
/// ones (projected kinds) and into [0,1].
struct AttackStep {
  AttackKind kind{};
  float length = 0, epsilon = 0;
  bool operator==(const AttackStep&) const = default;
};
/// The optimiser's step on all parameters, with the numbers of optimizer_step().
struct UpdateParameters {
  OptimizerSpec::Kind optimizer{};
  bool operator==(const UpdateParameters&) const = default;
};

}  // namespace step_op

using StepOp =
    std::variant<step_op::LoadBatch, step_op::KeepClean, step_op::SwapClean, step_op::RestoreClean,
                 step_op::RandomStart, step_op::Forward, step_op::AttackLoss, step_op::TrainingLoss,
                 step_op::Backward, step_op::AttackStep, step_op::UpdateParameters>;
using StepProgram = std::vector<StepOp>;

/// A training step on a batch of `images` images. The recipe is of one epoch: see epoch_recipe().
/// In the adversarial regime the attack's passes come first (each updates BatchNorm's running
/// statistics where it runs in training mode), then the pass on the clean images where
/// clean_weight > 0, then the one on the attacked ones where clean_weight < 1; a mixed batch is one
/// pass on both. The attack's last iterate is trained on.
StepProgram training_program(const TrainRecipe& recipe, std::size_t images);

/// What BackendModel::input_gradient does with images that are in place.
StepProgram gradient_program(LossKind loss);

/// Whether an operation of that type is in the program.
template <class Op>
bool contains(const StepProgram& program) {
  for (const StepOp& op : program)
    if (std::holds_alternative<Op>(op)) return true;
  return false;
}

/// Whether a forward pass runs on BatchNorm's running statistics.
bool uses_running_statistics(const StepProgram& program);

/// One line per operation with every field in full precision: programs are equal where their texts
/// are. "load sigma=0.5 clamp=0".
std::string to_text(const StepProgram& program);

/// One callable of several lambdas, for std::visit over a StepOp.
template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Match(Cases...) -> Match<Cases...>;

}  // namespace smoothcert
