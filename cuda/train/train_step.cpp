// One training step of any regime, issued on a stream.
#include "cuda/train/train_step.hpp"

#include <cstdio>

#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

/// The parts of one step share what it works on.
class StepIssuer {
 public:
  StepIssuer(Stream stream, LayerEngine& engine, const TrainPlan& plan, const StepMemory& memory,
             const TrainRecipe& recipe, std::uint32_t n)
      : stream_(stream), engine_(engine), plan_(plan), m_(memory), recipe_(recipe), n_(n) {}

  void run() {
    const bool noisy = recipe_.regime == Regime::smoothing;
    const std::uint32_t split =
        recipe_.lambda > 0 ? noise_width(NoiseLaw::split, recipe_.lambda) : 0;
    gather_batch(stream_, m_.data, noisy ? static_cast<float>(recipe_.sigma) : 0.0f, recipe_.clamp,
                 split, n_, images(), m_.labels, m_.ids);
    if (recipe_.regime == Regime::adversarial) {
      adversarial();
    } else {
      train_on_images(1.0f, false, true);
    }
    update();
  }

 private:
  [[nodiscard]] float* images() const { return m_.network.value(plan_, -1); }
  [[nodiscard]] const float* logits() const { return m_.network.value(plan_, plan_.logits()); }
  [[nodiscard]] float* logit_gradient() const { return m_.network.gradient(plan_, plan_.logits()); }

  /// clean_weight · CE(x) + (1 − clean_weight) · CE(x'), each in a pass of its own, as two calls of
  /// a module would be: first the attack, then the clean pass, then the one on the attacked images.
  void adversarial() {
    const auto clean_weight = static_cast<float>(recipe_.clean_weight);
    const std::size_t pixels = std::size_t{n_} * plan_.input.size();
    if (recipe_.mixed_batch && clean_weight < 1.0f) {
      pass_gradient(stream_, images(), pixels, false, m_.clean);
      attack();
      // Of a short last batch the clean share may be no image at all.
      if (const std::size_t clean = clean_images(recipe_, n_); clean > 0)
        pass_gradient(stream_, m_.clean, clean * plan_.input.size(), false, images());
      train_on_images(1.0f, false, true);
      return;
    }
    if (clean_weight < 1.0f) {
      pass_gradient(stream_, images(), pixels, false, m_.clean);
      attack();
    }
    if (clean_weight > 0.0f) {
      if (clean_weight < 1.0f) swap_values(stream_, images(), m_.clean, pixels);
      train_on_images(clean_weight, false, clean_weight == 1.0f);
      if (clean_weight < 1.0f) swap_values(stream_, images(), m_.clean, pixels);
    }
    if (clean_weight < 1.0f) train_on_images(1.0f - clean_weight, clean_weight > 0.0f, true);
  }

  void attack() {
    const AttackSpec& attack = recipe_.attack;
    const auto epsilon = static_cast<float>(attack.epsilon);
    const bool pgd = attack.kind == AttackKind::pgd_l2 || attack.kind == AttackKind::pgd_linf;
    const int steps = pgd ? attack.steps : 1;
    const auto length = static_cast<float>(!pgd                   ? attack.epsilon
                                           : attack.step_size > 0 ? attack.step_size
                                                                  : 2.5 * attack.epsilon / steps);
    if (pgd && attack.random_start) {
      random_start(stream_, attack.kind, epsilon, 0, 0, m_.state, m_.clean, m_.ids, n_,
                   static_cast<std::uint32_t>(plan_.input.size()), images());
    }
    for (int s = 0; s < steps; ++s) {
      forward_pass(stream_, engine_, plan_, m_.network, n_, recipe_.attack_mode);
      loss_and_gradient(stream_, attack.loss, logits(), m_.labels, n_, plan_.classes, 1.0f,
                        logit_gradient());
      backward_pass(stream_, engine_, plan_, m_.network, n_, recipe_.attack_mode, {.input = true});
      attack_step(stream_, attack.kind, length, epsilon, m_.network.gradient(plan_, -1), m_.clean,
                  n_, static_cast<std::uint32_t>(plan_.input.size()), images());
    }
  }

  /// `last`: the step's last pass.
  void train_on_images(float weight, bool add, bool last) {
    forward_pass(stream_, engine_, plan_, m_.network, n_, ForwardMode::train);
    training_loss(stream_, logits(), m_.labels, n_, plan_.classes, weight / static_cast<float>(n_),
                  logit_gradient(), weight, add, last, m_.state, m_.step_loss, m_.step_accuracy);
    backward_pass(stream_, engine_, plan_, m_.network, n_, ForwardMode::train,
                  {.parameters = true, .add_parameters = add});
  }

  void update() {
    if (recipe_.optimizer.kind == OptimizerSpec::Kind::adam) {
      adam(stream_, m_.optimizer_steps, m_.state, plan_.parameters, m_.network.parameter_gradients,
           m_.network.parameters, m_.moment1, m_.moment2);
    } else {
      sgd(stream_, m_.optimizer_steps, m_.state, plan_.parameters, m_.network.parameter_gradients,
          m_.network.parameters, m_.moment1);
    }
  }

  Stream stream_;
  LayerEngine& engine_;
  const TrainPlan& plan_;
  const StepMemory& m_;
  const TrainRecipe& recipe_;
  std::uint32_t n_;
};

}  // namespace

void issue_training_step(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                         const StepMemory& memory, const TrainRecipe& recipe, std::uint32_t n) {
  StepIssuer(stream, engine, plan, memory, recipe, n).run();
}

std::string step_key(const TrainRecipe& recipe, std::uint32_t n) {
  const AttackSpec& a = recipe.attack;
  char text[256];
  std::snprintf(text, sizeof text, "n=%u regime=%d batch=%d adam=%d", n,
                static_cast<int>(recipe.regime), recipe.batch_size,
                recipe.optimizer.kind == OptimizerSpec::Kind::adam ? 1 : 0);
  std::string key = text;
  if (recipe.regime == Regime::smoothing) {
    std::snprintf(text, sizeof text, " sigma=%a clamp=%d lambda=%a", recipe.sigma,
                  recipe.clamp ? 1 : 0, recipe.lambda);
    key += text;
  }
  if (recipe.regime == Regime::adversarial) {
    std::snprintf(text, sizeof text,
                  " attack=%d loss=%d eps=%a steps=%d size=%a start=%d mode=%d w=%a mixed=%d",
                  static_cast<int>(a.kind), static_cast<int>(a.loss), a.epsilon, a.steps,
                  a.step_size, a.random_start ? 1 : 0, static_cast<int>(recipe.attack_mode),
                  recipe.clean_weight, recipe.mixed_batch ? 1 : 0);
    key += text;
  }
  return key;
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
