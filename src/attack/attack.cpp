// The attacks on one batch.
#include "smoothcert/attack.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "attack/attack_steps.hpp"
#include "attack/attack_strength.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using attack_detail::Strength;

/// What one attack works on: N images of `pixels` floats, and room for the model's answers.
struct Batch {
  BackendModel& model;
  const AttackSpec& spec;
  std::span<const float> clean;
  std::span<const Label> labels;
  std::span<const std::uint32_t> ids;
  std::size_t pixels, classes;
  std::vector<bool>* undefined = nullptr;
  std::vector<float> before = {};
  std::vector<float> gradient = std::vector<float>(clean.size());
  std::vector<float> logits = std::vector<float>(labels.size() * classes);

  [[nodiscard]] std::size_t size() const { return labels.size(); }
  template <class T>
  [[nodiscard]] std::span<T> image(std::span<T> all, std::size_t i) const {
    return all.subspan(i * pixels, pixels);
  }
  [[nodiscard]] Strength strength(std::size_t i) const {
    return attack_detail::strength(std::span(logits).subspan(i * classes, classes), labels[i],
                                   spec.loss);
  }
  /// x of image i, a step of `length` further. Where that would hold a NaN (in the gradient, or
  /// infinity by infinity) x stays, and the image is noted.
  void step(std::size_t i, float length, std::span<float> x) {
    const auto nan = [](std::span<const float> values) {
      return std::any_of(values.begin(), values.end(), [](float v) { return std::isnan(v); });
    };
    const auto g = image(std::span<const float>(gradient), i);
    before.assign(x.begin(), x.end());
    attack_detail::step(spec.kind, g, length, x);
    if (!nan(g) && !nan(x)) return;
    std::copy(before.begin(), before.end(), x.begin());
    if (undefined != nullptr) (*undefined)[i] = true;
  }
};

void one_step(Batch& batch, std::span<float> adversarial) {
  batch.model.input_gradient(batch.clean, batch.labels, batch.spec.loss, batch.gradient, {});
  std::copy(batch.clean.begin(), batch.clean.end(), adversarial.begin());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto x = batch.image(adversarial, i);
    batch.step(i, static_cast<float>(batch.spec.epsilon), x);
    attack_detail::clamp(x);
  }
}

/// Keeps the current iterate of every image for which it is the strongest so far.
void keep_strongest(const Batch& batch, std::span<const float> x, bool first,
                    std::vector<Strength>& best, std::span<float> adversarial) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Strength now = batch.strength(i);
    if (!first && !(now > best[i])) continue;
    best[i] = now;
    const auto from = batch.image(x, i);
    std::copy(from.begin(), from.end(), batch.image(adversarial, i).begin());
  }
}

/// Madry et al. 2018; the logits that come with each gradient say how strong the iterate is.
void projected_steps(Batch& batch, std::span<float> adversarial) {
  const AttackSpec& spec = batch.spec;
  const auto epsilon = static_cast<float>(spec.epsilon);
  const auto length = static_cast<float>(spec.step_length());
  std::vector<float> x(batch.clean.size());
  std::vector<Strength> best(batch.size());
  for (int restart = 0; restart < spec.restarts; ++restart) {
    std::copy(batch.clean.begin(), batch.clean.end(), x.begin());
    if (spec.random_start)
      for (std::size_t i = 0; i < batch.size(); ++i)
        attack_detail::random_start(spec.kind, batch.image(batch.clean, i), epsilon, spec.seed,
                                    batch.ids[i], static_cast<std::uint32_t>(restart),
                                    batch.image(std::span(x), i));
    for (int step = 0; step < spec.steps; ++step) {
      batch.model.input_gradient(x, batch.labels, spec.loss, batch.gradient, batch.logits);
      keep_strongest(batch, x, restart == 0 && step == 0, best, adversarial);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto image = batch.image(std::span(x), i);
        batch.step(i, length, image);
        attack_detail::project(spec.kind, batch.image(batch.clean, i), epsilon, image);
      }
    }
    batch.model.forward(x, batch.logits);
    keep_strongest(batch, x, false, best, adversarial);
  }
}

}  // namespace

void attack_batch(BackendModel& model, const AttackSpec& spec, std::span<const float> x,
                  std::span<const Label> labels, std::span<const std::uint32_t> image_ids,
                  std::span<float> adversarial, std::vector<bool>* undefined) {
  validate(spec);
  const std::size_t pixels = model.spec().input.size();
  if (x.size() != labels.size() * pixels || adversarial.size() != x.size() ||
      image_ids.size() != labels.size())
    throw UsageError("attack: images, labels, image ids and results differ in number");
  if (labels.empty()) return;
  if (undefined != nullptr) undefined->assign(labels.size(), false);
  Batch batch{
      model,    spec, x, labels, image_ids, pixels, static_cast<std::size_t>(model.spec().classes),
      undefined};
  spec.projected() ? projected_steps(batch, adversarial) : one_step(batch, adversarial);
}

}  // namespace smoothcert
