// What a backend reads off the arguments of a call before it trains.
#include "train/epoch_request.hpp"

#include <algorithm>
#include <string>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

void check_order(const EpochRequest& request) {
  const Dataset& data = request.data;
  for (const std::uint32_t index : request.order) {
    if (index >= data.size())
      throw UsageError("training: image " + std::to_string(index) + " is not in data set '" +
                       data.name + "', which has " + std::to_string(data.size()));
    if (data.labels[index] >= data.classes)
      throw UsageError("training: label " + std::to_string(data.labels[index]) + " of image " +
                       std::to_string(index) + " is not below the number of classes of data set '" +
                       data.name + "', " + std::to_string(data.classes));
  }
}

/// BatchNorm has no variance to train with where a batch leaves it one value per channel.
void check_batch_statistics(const NetworkSpec& spec, const EpochRequest& request) {
  if (request.order.empty()) return;
  const EpochSteps steps(request);
  if (steps.size(steps.count() - 1) != 1) return;
  for (const Layer& layer : spec.layers)
    if (layer.kind == LayerKind::batchnorm && layer.out.height * layer.out.width == 1)
      throw UsageError("training: a batch of one image leaves BatchNorm '" + layer.name +
                       "' a single value per channel; choose another batch size");
}

}  // namespace

void check_epoch(const NetworkSpec& spec, const EpochRequest& request) {
  const Dataset& data = request.data;
  const TrainRecipe& recipe = request.recipe;
  if (!(data.shape == spec.input) || data.classes > spec.classes)
    throw UsageError("training: data set '" + data.name + "' does not fit network '" + spec.name +
                     "'");
  if (recipe.batch_size < 1) throw UsageError("training: the batch size must be at least 1");
  if (recipe.regime == Regime::adversarial && recipe.attack.step_count() < 1)
    throw UsageError("training: PGD needs at least 1 step");
  check_order(request);
  check_batch_statistics(spec, request);
}

void check_input_gradient(const NetworkSpec& spec, std::span<const float> images,
                          std::span<const Label> labels, std::span<const float> gradient,
                          std::span<const float> logits) {
  const std::size_t count = labels.size(), size = spec.input.size();
  const auto classes = static_cast<std::size_t>(spec.classes);
  if (images.size() != count * size || gradient.size() != count * size ||
      (!logits.empty() && logits.size() != count * classes))
    throw UsageError("input gradient: " + std::to_string(images.size()) + " pixels, " +
                     std::to_string(gradient.size()) + " gradients and " +
                     std::to_string(logits.size()) + " logits do not fit " + std::to_string(count) +
                     " labels, " + std::to_string(size) + " pixels an image and " +
                     std::to_string(classes) + " classes");
  for (const Label label : labels)
    if (label >= classes)
      throw UsageError("input gradient: label " + std::to_string(label) +
                       " is not below the number of classes, " + std::to_string(classes));
}

EpochSteps::EpochSteps(const EpochRequest& request)
    : visits_(request.order.size()), batch_(static_cast<std::size_t>(request.recipe.batch_size)) {}

std::size_t EpochSteps::size(std::size_t step) const {
  return std::min(batch_, visits_ - first(step));
}

std::size_t EpochSteps::largest() const { return std::min(batch_, visits_); }

}  // namespace smoothcert
