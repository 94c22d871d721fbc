// Gradient attacks on the base classifier, in units of [0,1] pixels.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>

#include "smoothcert/attack_spec.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/label.hpp"

namespace smoothcert {

class BackendModel;

/// Accuracy under one attack. "Worse of the two losses" counts an image as broken when either the
/// cross-entropy or the margin variant breaks it.
struct AttackReport {
  AttackSpec spec;
  std::uint64_t images = 0;
  std::uint64_t correct_cross_entropy = 0;  ///< the study's figure
  std::uint64_t correct_margin = 0;
  std::uint64_t correct_worst = 0;  ///< correct under both: the figure to quote
  std::uint64_t zero_gradient = 0;  ///< images whose first cross-entropy gradient is all zero
  std::uint64_t nan_gradient = 0;   ///< images with a step that led to NaN and was not taken
  double seconds = 0;
};

/// Attacks x (N × CHW floats in [0,1]) in evaluation mode and writes x' of the same shape.
/// `image_ids` are the Philox image indices of random starts. One step: x + step, clamped to [0,1].
/// PGD: the strongest of all iterates and restarts, where breaking the image is stronger than not,
/// then the larger loss counts; so more restarts are never weaker, nor is any of them than its
/// start. A step that leads to NaN (a NaN gradient, infinity by infinity) is not taken: what it
/// would give is no image, and breaks nothing. `undefined`, where given, is set for the images with
/// such a step.
void attack_batch(BackendModel& model, const AttackSpec& spec, std::span<const float> x,
                  std::span<const Label> labels, std::span<const std::uint32_t> image_ids,
                  std::span<float> adversarial, std::vector<bool>* undefined = nullptr);

/// Those of `indices` that the model, without noise, answers as labelled.
std::vector<std::uint32_t> correctly_classified(BackendModel& model, const Dataset& data,
                                                std::span<const std::uint32_t> indices);

/// Clean accuracy in [0,1] over `indices` of `data`.
double clean_accuracy(BackendModel& model, const Dataset& data,
                      std::span<const std::uint32_t> indices);

AttackReport attack_accuracy(BackendModel& model, const AttackSpec& spec, const Dataset& data,
                             std::span<const std::uint32_t> indices, std::stop_token stop = {});

}  // namespace smoothcert
