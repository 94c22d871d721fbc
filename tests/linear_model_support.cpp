// A linear model, whose smoothed classifier is known in closed form.
#include "linear_model_support.hpp"

#include <algorithm>
#include <thread>

#include "smoothcert/device/losses.hpp"

namespace smoothcert::test {

LinearModel::LinearModel(ImageShape shape, int classes, std::vector<float> weight,
                         std::vector<float> bias)
    : weight_(std::move(weight)), bias_(std::move(bias)) {
  spec_.name = "linear";
  spec_.input = shape;
  spec_.classes = classes;
}

void LinearModel::forward(std::span<const float> images, std::span<float> logits) {
  const std::size_t pixels = spec_.input.size(), classes = bias_.size();
  largest_batch = std::max(largest_batch, images.size() / pixels);
  for (std::size_t i = 0; i < images.size() / pixels; ++i)
    for (std::size_t c = 0; c < classes; ++c) {
      float sum = bias_[c];
      for (std::size_t p = 0; p < pixels; ++p)
        sum += weight_[c * pixels + p] * images[i * pixels + p];
      logits[i * classes + c] = sum;
    }
}

void LinearModel::input_gradient(std::span<const float> images, std::span<const Label> labels,
                                 LossKind loss, std::span<float> gradients,
                                 std::span<float> logits) {
  ++gradient_calls;
  std::this_thread::sleep_for(pause);
  const std::size_t pixels = spec_.input.size(), classes = bias_.size();
  std::vector<float> answers(labels.size() * classes), share(classes);
  forward(images, answers);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const float* const row = answers.data() + i * classes;
    float* const d = share.data();
    if (loss == LossKind::margin)
      device::margin_loss(row, static_cast<int>(classes), labels[i], 1.0f, d);
    else
      device::cross_entropy(row, static_cast<int>(classes), labels[i], 1.0f, d);
    for (std::size_t p = 0; p < pixels; ++p) {
      float sum = 0;
      for (std::size_t c = 0; c < classes; ++c) sum += d[c] * weight_[c * pixels + p];
      gradients[i * pixels + p] = gradient.value_or(sum);
    }
  }
  if (!logits.empty()) std::copy(answers.begin(), answers.end(), logits.begin());
}

}  // namespace smoothcert::test
