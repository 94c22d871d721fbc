// The training loop: epoch by epoch, with a record of what was done. One epoch is the backend's.
#include "smoothcert/train.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/version.hpp"

namespace smoothcert {
namespace {

void require_fit(const NetworkSpec& spec, const Dataset& data) {
  if (!(data.shape == spec.input) || data.classes != spec.classes) {
    const auto text = [](const ImageShape& s, int classes) {
      return std::to_string(s.channels) + "×" + std::to_string(s.height) + "×" +
             std::to_string(s.width) + " and " + std::to_string(classes) + " classes";
    };
    throw UsageError("training: network '" + spec.name + "' expects images of " +
                     text(spec.input, spec.classes) + ", data set '" + data.name + "' has " +
                     text(data.shape, data.classes));
  }
}

std::vector<std::uint32_t> training_indices(const Dataset& data, const TrainOptions& options) {
  auto indices = options.indices;
  if (indices.empty()) {
    indices.resize(data.size());
    std::iota(indices.begin(), indices.end(), 0u);
  }
  if (indices.empty()) throw UsageError("training: data set '" + data.name + "' has no images");
  const auto last = *std::max_element(indices.begin(), indices.end());
  if (last >= data.size())
    throw UsageError("training: image " + std::to_string(last) + " is not in data set '" +
                     data.name + "', which has " + std::to_string(data.size()));
  return indices;
}

double epoch_learning_rate(const TrainRecipe& recipe, int epoch) {
  double rate = recipe.optimizer.learning_rate;
  for (const int milestone : recipe.milestones)
    if (epoch >= milestone) rate *= recipe.gamma;
  return rate;
}

TrainingRecord make_record(const Backend& backend, const TrainRecipe& recipe, const Dataset& data,
                           std::uint64_t seed, std::size_t images) {
  TrainingRecord record;
  record.regime = to_name(recipe.regime);
  record.recipe = recipe.name;
  record.sigma = recipe.regime == Regime::smoothing && recipe.lambda == 0 ? recipe.sigma : 0.0;
  record.lambda = recipe.lambda > 0  // as it is drawn
                      ? lambda_of_width(noise_width(NoiseLaw::split, recipe.lambda))
                      : 0.0;
  record.epsilon = recipe.regime == Regime::adversarial ? recipe.attack.epsilon : 0.0;
  record.seed = seed;
  record.dataset = data.name + " " + data.sha256;
  if (images != data.size())
    record.dataset +=
        " (" + std::to_string(images) + " of " + std::to_string(data.size()) + " images)";
  record.commit = kVersion;
  record.backend = backend.describe();
  return record;
}

void require_finite(const EpochReport& report, const TrainRecipe& recipe, int epoch) {
  if (std::all_of(report.step_loss.begin(), report.step_loss.end(),
                  [](float loss) { return std::isfinite(loss); }))
    return;
  throw Error("training by recipe '" + recipe.name + "' diverged in epoch " +
              std::to_string(epoch + 1) +
              ": the loss is not a number any more; try a lower "
              "learning rate than " +
              std::to_string(recipe.optimizer.learning_rate));
}

void append(TrainHistory& history, const EpochReport& report) {
  history.step_loss.insert(history.step_loss.end(), report.step_loss.begin(),
                           report.step_loss.end());
  history.step_accuracy.insert(history.step_accuracy.end(), report.step_accuracy.begin(),
                               report.step_accuracy.end());
  history.epoch_seconds.push_back(report.seconds);
}

}  // namespace

TrainResult train(Backend& backend, const NetworkSpec& spec, const TrainRecipe& recipe,
                  const Dataset& data, const TrainOptions& options, const TrainResume* resume) {
  validate(recipe);
  require_gradients(spec, "training");
  require_fit(spec, data);
  const auto indices = training_indices(data, options);
  const auto batch = static_cast<std::size_t>(recipe.batch_size);
  const std::size_t steps_in_epoch = (indices.size() + batch - 1) / batch;

  TrainResult result;
  result.network = resume != nullptr ? resume->network : initialise(spec, options.seed);
  result.network.clamp = recipe.clamp;
  result.network.record = make_record(backend, recipe, data, options.seed, indices.size());
  result.network.record.epochs = resume != nullptr ? resume->next_epoch : 0;
  OptimizerState optimizer;
  if (resume != nullptr) {
    optimizer = resume->optimizer;
    result.history = resume->history;
  }
  const auto model = backend.load(result.network);
  model->upload(optimizer);

  for (int epoch = resume != nullptr ? resume->next_epoch : 0; epoch < recipe.epochs; ++epoch) {
    if (options.stop.stop_requested()) throw Interrupted("training stopped");
    const TrainRecipe of_epoch = epoch_recipe(recipe, epoch);
    const auto order = epoch_order(indices, options.seed, epoch);
    EpochRequest request{.data = data,
                         .recipe = of_epoch,
                         .order = order,
                         .epoch = epoch,
                         .learning_rate = epoch_learning_rate(recipe, epoch),
                         .total_steps = steps_in_epoch * static_cast<std::uint64_t>(recipe.epochs),
                         .seed = options.seed,
                         .on_step = {},
                         .stop = options.stop};
    if (options.on_step)
      request.on_step = [&](const StepReport& step) { options.on_step(epoch, step); };
    const EpochReport report = model->train_epoch(request);
    require_finite(report, recipe, epoch);
    append(result.history, report);
    model->download(result.network);
    result.network.record.epochs = epoch + 1;
    if (options.on_epoch) {
      model->download(optimizer);
      options.on_epoch(epoch, result.network, optimizer, result.history);
    }
  }
  return result;
}

}  // namespace smoothcert
