// CPU training and input gradients against a plain reference in double: every layer's gradient by
// central differences, BatchNorm's running statistics, ragged batches, reproducibility.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <optional>

#include "cpu/training.hpp"
#include "cpu_engine_support.hpp"
#include "layer_cases.hpp"
#include "smoothcert/attack.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/device/normal.hpp"
#include "training_reference_support.hpp"

namespace smoothcert::cpu {
namespace {

std::vector<std::uint32_t> first_indices(std::size_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

TrainRecipe plain_sgd(int batch) {
  TrainRecipe recipe;
  recipe.batch_size = batch;
  recipe.optimizer.kind = OptimizerSpec::Kind::sgd;
  recipe.optimizer.learning_rate = 1;
  return recipe;
}

EpochRequest request_of(const Dataset& data, const TrainRecipe& recipe,
                        std::span<const std::uint32_t> order) {
  return {.data = data,
          .recipe = recipe,
          .order = order,
          .epoch = 0,
          .learning_rate = recipe.optimizer.learning_rate,
          .total_steps = 0,
          .seed = 7,
          .on_step = {},
          .stop = {}};
}

struct Trained {
  Network net;
  OptimizerState optimizer;
  EpochReport report;
};
Trained train_once(const Network& net, const Dataset& data, const TrainRecipe& recipe,
                   std::span<const std::uint32_t> order, int threads = 2) {
  Trained result{net, {}, {}};
  ThreadPool pool(threads);
  result.report = train_epoch(result.net, result.optimizer, pool, request_of(data, recipe, order));
  return result;
}

/// The smaller networks: between them they use every layer.
std::vector<NetworkSpec> small_networks() {
  std::vector<NetworkSpec> small;
  for (NetworkSpec& spec : engine_networks())
    if (spec.name == "residual" || spec.name == "padded") small.push_back(std::move(spec));
  return small;
}

class TrainingOnIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa()) GTEST_SKIP() << "this machine lacks " << isa_name(GetParam());
    isa_.emplace(GetParam());
  }
  std::optional<ForcedIsa> isa_;
};

/// One step of SGD at rate 1 moves each weight by minus its gradient.
void expect_weight_gradients(const Network& net, std::size_t images, std::size_t every) {
  const Dataset data = random_dataset(net.spec, images, 5);
  const auto order = first_indices(images);
  const Trained after = train_once(net, data, plain_sgd(static_cast<int>(images)), order);
  const auto pixels = pixels_of(data, order);
  ReferenceTrainer reference(net);
  const auto loss = [&] {
    return reference.loss(pixels, data.labels, ForwardMode::train, LossKind::cross_entropy, true);
  };
  ASSERT_EQ(after.report.step_loss.size(), 1u);
  EXPECT_NEAR(after.report.step_loss[0], loss(), 1e-5);
  for (const TensorSlot& slot : tensor_slots(net.spec)) {
    if (!slot.trainable) continue;
    SCOPED_TRACE(slot.name);
    auto& tensor = reference.tensors.at(slot.name);
    const std::size_t step = tensor.size() < 30 ? 1 : every;
    for (std::size_t i = 0; i < tensor.size(); i += step) {
      const double value = tensor[i], h = 1e-6;
      tensor[i] = value + h;
      const double above = loss();
      tensor[i] = value - h;
      const double below = loss();
      tensor[i] = value;
      const double moved = double{net.tensors.at(slot.name).data[i]} -
                           double{after.net.tensors.at(slot.name).data[i]};
      const double slope = (above - below) / (2 * h);
      EXPECT_NEAR(moved, slope, 1e-5 * std::max(1.0, std::fabs(slope))) << i;
    }
  }
}

TEST_P(TrainingOnIsa, WeightGradientsAreTheLosssSlopes) {
  for (const NetworkSpec& spec : small_networks()) {
    SCOPED_TRACE(spec.name);
    expect_weight_gradients(lively_network(spec, 3), 5, 41);
  }
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    expect_weight_gradients(formula_network(case_network(c)), 5, 23);
  }
}

TEST_P(TrainingOnIsa, InputGradientsAreTheLosssSlopes) {
  std::vector<Network> networks;
  for (const NetworkSpec& spec : small_networks()) networks.push_back(lively_network(spec, 3));
  for (const LayerCase& c : layer_cases()) {
    networks.push_back(formula_network(case_network(c)));
    networks.back().spec.name = c.name;
  }
  for (const Network& net : networks)
    for (const LossKind kind : {LossKind::cross_entropy, LossKind::margin}) {
      const NetworkSpec& spec = net.spec;
      SCOPED_TRACE(spec.name);
      const std::size_t images = 19, size = spec.input.size();
      const Dataset data = random_dataset(spec, images, 5);
      auto pixels = pixels_of(data, first_indices(images));
      // No two pixels alike: at a tie of a maximum there is no slope.
      for (auto& image : pixels)
        for (std::size_t p = 0; p < size; ++p)
          image[p] = double{static_cast<float>(
              image[p] + 0.003 * std::fmod(0.6180339887 * static_cast<double>(p), 1.0))};
      std::vector<float> x, gradient(images * size),
          logits(images * static_cast<std::size_t>(spec.classes));
      for (const auto& image : pixels) x.insert(x.end(), image.begin(), image.end());
      ThreadPool pool(2);
      input_gradient(net, pool, x, data.labels, kind, gradient, logits);
      ReferenceTrainer reference(net);
      const auto expected = reference.logits(pixels, ForwardMode::eval);
      for (std::size_t i = 0; i < logits.size(); ++i) EXPECT_NEAR(logits[i], expected[i], 1e-4);
      for (const std::size_t n : {0, 18})
        for (std::size_t p = 0; p < size; p += 5) {
          std::vector<std::vector<double>> one{pixels[n]};
          const std::span<const Label> label = std::span(data.labels).subspan(n, 1);
          const double h = 1e-6, value = one[0][p];
          one[0][p] = value + h;
          const double above = reference.loss(one, label, ForwardMode::eval, kind, false);
          one[0][p] = value - h;
          const double below = reference.loss(one, label, ForwardMode::eval, kind, false);
          const double slope = (above - below) / (2 * h);
          EXPECT_NEAR(gradient[n * size + p], slope, 1e-4 * std::max(1.0, std::fabs(slope))) << p;
        }
    }
}

TEST_P(TrainingOnIsa, RunningStatisticsMoveAsInPyTorch) {
  const Network net = lively_network(small_networks()[0], 3);
  const Dataset data = random_dataset(net.spec, 21, 5);
  const auto order = first_indices(21);
  const Trained after = train_once(net, data, plain_sgd(21), order);
  ReferenceTrainer reference(net);
  reference.logits(pixels_of(data, order), ForwardMode::train, true);
  for (const TensorSlot& slot : tensor_slots(net.spec)) {
    if (slot.trainable) continue;
    for (std::size_t i = 0; i < reference.tensors.at(slot.name).size(); ++i)
      EXPECT_NEAR(after.net.tensors.at(slot.name).data[i], reference.tensors.at(slot.name)[i], 2e-5)
          << slot.name << " " << i;
  }
}

/// The last batch is short and ends within a lane group: as if it had been the only one.
TEST_P(TrainingOnIsa, ShortLastBatchIsWhatItWouldBeAlone) {
  for (const NetworkSpec& spec : small_networks()) {
    const Network net = lively_network(spec, 3);
    const Dataset data = random_dataset(spec, 40, 5);
    const auto order = first_indices(37);
    const Trained both = train_once(net, data, plain_sgd(20), order);
    const Trained first = train_once(net, data, plain_sgd(20), std::span(order).first(20));
    Trained second{first.net, first.optimizer, {}};
    ThreadPool pool(1);
    const TrainRecipe recipe = plain_sgd(100);
    second.report = train_epoch(second.net, second.optimizer, pool,
                                request_of(data, recipe, std::span(order).subspan(20)));
    ASSERT_EQ(both.report.step_loss.size(), 2u);
    EXPECT_EQ(both.report.step_loss[1], second.report.step_loss[0]);
    for (const auto& [name, tensor] : both.net.tensors)
      EXPECT_EQ(tensor.data, second.net.tensors.at(name).data) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, TrainingOnIsa, testing::Values(Isa::baseline, Isa::avx2, Isa::avx512),
                         [](const auto& test) { return isa_name(test.param); });

/// Concatenations and mean poolings, 39 convolutions.
TEST(TrainingOfDenseNet, LearnsWhatAnAttackUnlearns) {
  NetworkSpec spec = builtin_network("densenet-40");
  spec.input.height = spec.input.width = 8;
  Network net = initialise(std::move(spec), 3);
  const Dataset data = random_dataset(net.spec, 16, 5);
  const auto model = make_backend("cpu", 2, nullptr)->load(net);
  TrainRecipe recipe;
  recipe.batch_size = 16;
  recipe.optimizer.kind = OptimizerSpec::Kind::sgd;
  recipe.optimizer.learning_rate = 0.1;
  const auto order = first_indices(16);
  std::vector<float> losses;
  for (int epoch = 0; epoch < 70; ++epoch) {
    if (epoch == 30) recipe.optimizer.learning_rate = 0;  // the running statistics catch up
    losses.push_back(model->train_epoch(request_of(data, recipe, order)).step_loss.at(0));
  }
  EXPECT_LT(losses.back(), 0.5f * losses.front());
  const double clean = clean_accuracy(*model, data, order);
  EXPECT_GT(clean, 0.5);
  AttackSpec attack = attack_from_name("pgd-linf");
  attack.epsilon = 0.1;
  attack.steps = 5;
  const AttackReport report = attack_accuracy(*model, attack, data, order);
  EXPECT_EQ(report.zero_gradient, 0u);
  EXPECT_LT(static_cast<double>(report.correct_worst), 0.5 * clean * 16);
}

}  // namespace
}  // namespace smoothcert::cpu
