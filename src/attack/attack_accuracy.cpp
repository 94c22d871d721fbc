// Accuracy over a data set, clean and under attack, a batch at a time.
#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "attack/attack_strength.hpp"
#include "smoothcert/attack.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

/// Large enough to keep every core busy, small enough (a few MB of pixels) to stay in the caches.
constexpr std::size_t kBatch = 1000;

struct Images {
  std::span<const std::uint32_t> ids;
  std::vector<float> x;
  std::vector<Label> labels;
};

void for_each_batch(const BackendModel& model, const Dataset& data,
                    std::span<const std::uint32_t> indices,
                    const std::function<void(const Images&)>& visit) {
  if (!(data.shape == model.spec().input) || data.classes != model.spec().classes)
    throw UsageError("data set '" + data.name + "' does not fit network '" + model.spec().name +
                     "': image shape or class count differ");
  if (indices.empty()) throw UsageError("no images to measure accuracy on");
  for (std::size_t begin = 0; begin < indices.size(); begin += kBatch) {
    Images batch;
    batch.ids = indices.subspan(begin, std::min(kBatch, indices.size() - begin));
    batch.x.reserve(batch.ids.size() * data.shape.size());
    for (const std::uint32_t index : batch.ids) {
      if (index >= data.size())
        throw UsageError("image " + std::to_string(index) + " is not in data set '" + data.name +
                         "', which has " + std::to_string(data.size()));
      for (const std::uint8_t v : data.image(index)) batch.x.push_back(device::lattice_input(v));
      batch.labels.push_back(data.labels[index]);
    }
    visit(batch);
  }
}

std::vector<bool> right_answers(BackendModel& model, std::span<const float> x,
                                std::span<const Label> labels) {
  const auto classes = static_cast<std::size_t>(model.spec().classes);
  std::vector<float> logits(labels.size() * classes);
  model.forward(x, logits);
  std::vector<bool> right(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i)
    right[i] = attack_detail::predicted_class(std::span(logits).subspan(i * classes, classes)) ==
               static_cast<int>(labels[i]);
  return right;
}

/// `undefined` gains the images with a step that was not taken.
std::vector<bool> right_under(BackendModel& model, AttackSpec spec, LossKind loss,
                              const Images& batch, std::vector<bool>& undefined) {
  spec.loss = loss;
  std::vector<float> attacked(batch.x.size());
  std::vector<bool> now;
  attack_batch(model, spec, batch.x, batch.labels, batch.ids, attacked, &now);
  for (std::size_t i = 0; i < now.size(); ++i) undefined[i] = undefined[i] || now[i];
  return right_answers(model, attacked, batch.labels);
}

std::uint64_t count(const std::vector<bool>& flags) {
  return static_cast<std::uint64_t>(std::count(flags.begin(), flags.end(), true));
}

std::uint64_t zero_gradients(BackendModel& model, const Images& batch) {
  std::vector<float> gradient(batch.x.size());
  model.input_gradient(batch.x, batch.labels, LossKind::cross_entropy, gradient, {});
  const std::size_t pixels = batch.x.size() / batch.labels.size();
  std::uint64_t zero = 0;
  for (std::size_t i = 0; i < batch.labels.size(); ++i) {
    const auto g = std::span(gradient).subspan(i * pixels, pixels);
    if (std::all_of(g.begin(), g.end(), [](float v) { return v == 0.0f; })) ++zero;
  }
  return zero;
}

}  // namespace

std::vector<std::uint32_t> correctly_classified(BackendModel& model, const Dataset& data,
                                                std::span<const std::uint32_t> indices) {
  std::vector<std::uint32_t> correct;
  for_each_batch(model, data, indices, [&](const Images& batch) {
    const auto right = right_answers(model, batch.x, batch.labels);
    for (std::size_t i = 0; i < right.size(); ++i)
      if (right[i]) correct.push_back(batch.ids[i]);
  });
  return correct;
}

double clean_accuracy(BackendModel& model, const Dataset& data,
                      std::span<const std::uint32_t> indices) {
  std::uint64_t right = 0;
  for_each_batch(model, data, indices, [&](const Images& batch) {
    right += count(right_answers(model, batch.x, batch.labels));
  });
  return static_cast<double>(right) / static_cast<double>(indices.size());
}

AttackReport attack_accuracy(BackendModel& model, const AttackSpec& spec, const Dataset& data,
                             std::span<const std::uint32_t> indices, std::stop_token stop) {
  validate(spec);
  const auto start = std::chrono::steady_clock::now();
  AttackReport report;
  report.spec = spec;
  for_each_batch(model, data, indices, [&](const Images& batch) {
    if (stop.stop_requested()) throw Interrupted("attack stopped");
    report.zero_gradient += zero_gradients(model, batch);
    std::vector<bool> undefined(batch.labels.size(), false);
    const auto cross_entropy = right_under(model, spec, LossKind::cross_entropy, batch, undefined);
    const auto margin = right_under(model, spec, LossKind::margin, batch, undefined);
    report.nan_gradient += count(undefined);
    report.images += batch.labels.size();
    report.correct_cross_entropy += count(cross_entropy);
    report.correct_margin += count(margin);
    for (std::size_t i = 0; i < margin.size(); ++i)
      if (cross_entropy[i] && margin[i]) ++report.correct_worst;
  });
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace smoothcert
