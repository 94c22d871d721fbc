// What a pass sums up over a batch: losses, and BatchNorm's statistics and their gradients. Always
// in the order of the lane groups.
#include <algorithm>
#include <cmath>

#include "cpu/training_pass.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/losses.hpp"

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

}  // namespace

double TrainingPass::loss(LossKind kind, float scale, const Batch& batch, int group) {
  const int stride = static_cast<int>(lanes_), classes = graph_.plan.classes;
  float* grad = gradient(graph_.plan.logits, group);
  const float* logits = value(graph_.plan.logits, group);
  std::fill_n(grad, group_stride(graph_.plan.logits), 0.0f);
  double sum = 0;
  const int count = valid(batch, group);
  for (int l = 0; l < count; ++l) {
    const device::Strided<const float> row{logits + l, stride};
    const device::Strided<float> to{grad + l, stride};
    const int label = batch.labels[cast(group) * lanes_ + cast(l)];
    const float value = kind == LossKind::cross_entropy
                            ? device::cross_entropy(row, classes, label, scale, to)
                            : device::margin_loss(row, classes, label, scale, to);
    sum += double{value};
  }
  return sum;
}

void TrainingPass::training_loss(const step_op::TrainingLoss& training, const Batch& batch,
                                 int group) {
  Result& result = results_[cast(group)];
  result.loss +=
      double{training.share} * loss(LossKind::cross_entropy, training.scale, batch, group);
  if (!training.last) return;
  const float* logits = value(graph_.plan.logits, group);
  const int count = valid(batch, group);
  for (int l = 0; l < count; ++l) {
    const device::Strided<const float> row{logits + l, static_cast<int>(lanes_)};
    const int label = batch.labels[cast(group) * lanes_ + cast(l)];
    if (device::argmax_or_invalid(row, graph_.plan.classes) == label) ++result.correct;
  }
}

void TrainingPass::clear_results() { std::fill(results_.begin(), results_.end(), Result{}); }

TrainingPass::Result TrainingPass::result(int groups) const {
  Result total;
  for (int group = 0; group < groups; ++group) {
    total.loss += results_[cast(group)].loss;
    total.correct += results_[cast(group)].correct;
  }
  return total;
}

void TrainingPass::combine_forward(int index, std::size_t images, int groups) {
  const TrainNode& norm = graph_.norm(index);
  NormState& state = parameters_.norm(index);
  const double count = static_cast<double>(images) * static_cast<double>(norm.area);
  for (std::size_t c = 0; c < norm.channels; ++c) {
    // Chan, Golub, LeVeque 1983: moments of parts into those of the whole.
    double mean = 0, squares = 0;
    const auto part = [&](int group) {
      return sums_[cast(index)].data() + (cast(group) * norm.channels + c) * 2;
    };
    const auto weight = [&](int group) {
      return static_cast<double>(std::min(lanes_, images - cast(group) * lanes_) * norm.area);
    };
    for (int group = 0; group < groups; ++group) mean += part(group)[0] * weight(group) / count;
    for (int group = 0; group < groups; ++group) {
      const double distance = part(group)[0] - mean;
      squares += part(group)[1] + distance * distance * weight(group);
    }
    const double variance = std::max(squares / count, 0.0);
    const double inverse = 1.0 / std::sqrt(variance + norm.eps);
    const double gamma = parameters_.scale(norm)[c], beta = parameters_.bias(norm)[c];
    state.inverse[c] = inverse;
    state.mean[c] = static_cast<float>(mean);
    state.scale[c] = static_cast<float>(gamma * inverse);
    state.shift[c] = static_cast<float>(beta - mean * gamma * inverse);
    const auto moved = [&](float old, double now) {
      return static_cast<float>((1 - norm.momentum) * double{old} + norm.momentum * now);
    };
    state.running_mean[c] = moved(state.running_mean[c], mean);
    state.running_var[c] = moved(state.running_var[c], variance * count / (count - 1));
  }
}

void TrainingPass::combine_backward(int index, std::size_t images, int groups, bool parameters,
                                    bool add) {
  const TrainNode& norm = graph_.norm(index);
  NormState& state = parameters_.norm(index);
  const double count = static_cast<double>(images) * static_cast<double>(norm.area);
  for (std::size_t c = 0; c < norm.channels; ++c) {
    double sum = 0, product = 0;
    for (int group = 0; group < groups; ++group) {
      const double* sums = sums_[cast(index)].data() + (cast(group) * norm.channels + c) * 2;
      sum += sums[0];
      product += sums[1];
    }
    const double inverse = state.inverse[c];
    state.backward[c] = {state.scale[c], static_cast<float>(sum / count), state.mean[c],
                         static_cast<float>(product * inverse * inverse / count)};
    if (!parameters || !norm.has_weight()) continue;
    float& gamma = parameters_.gradients()[norm.weight + c];
    float& beta = parameters_.gradients()[norm.bias + c];
    gamma = static_cast<float>((add ? double{gamma} : 0.0) + product * inverse);
    beta = static_cast<float>((add ? double{beta} : 0.0) + sum);
  }
}

}  // namespace smoothcert::cpu
