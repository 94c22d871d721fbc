// The trainer beside PyTorch, through numbers that tests/golden/make_training.py wrote.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>

#include "cpu/training.hpp"
#include "cpu_engine_support.hpp"
#include "places_support.hpp"

namespace smoothcert::cpu {
namespace {

using Numbers = std::map<std::string, std::vector<double>>;

const Numbers& golden() {
  static const Numbers numbers = [] {
    Numbers read;
    std::ifstream file(test::source_folder() / "tests/golden/training.txt");
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string name;
      if (!(words >> name) || name == "#") continue;
      for (double v = 0; words >> v;) read[name].push_back(v);
    }
    return read;
  }();
  return numbers;
}

/// The network and data of make_training.py.
Network golden_network() {
  NetworkSpec spec;
  spec.name = "golden";
  spec.input = {1, 12, 12};
  spec.classes = 4;
  const auto add = [&](LayerKind kind, const char* name, int out = 0, int kernel = 0,
                       int stride = 1, int padding = 0) {
    Layer l;
    l.kind = kind;
    l.name = name;
    l.inputs = {static_cast<int>(spec.layers.size()) - 1};
    l.out_channels = out;
    l.kernel = kernel;
    l.stride = stride;
    l.padding = padding;
    spec.layers.push_back(l);
  };
  add(LayerKind::conv2d, "conv1", 3, 3);
  add(LayerKind::relu, "relu1");
  add(LayerKind::batchnorm, "bn1");
  add(LayerKind::maxpool, "pool1", 0, 2, 2);
  add(LayerKind::conv2d, "conv2", 2, 3, 1, 1);
  add(LayerKind::relu, "relu2");
  add(LayerKind::maxpool, "pool2", 0, 2, 2);
  add(LayerKind::flatten, "flat");
  add(LayerKind::linear, "fc1", 4);
  Network net = initialise(spec, 0);
  std::size_t t = 0;
  for (const TensorSlot& slot : tensor_slots(net.spec)) {
    if (!slot.trainable) continue;
    auto& values = net.tensors.at(slot.name).data;
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = (static_cast<float>((i * 37 + 11 * t) % 101) - 50) / 128;
    ++t;
  }
  return net;
}

Dataset golden_data() {
  Dataset data;
  data.shape = {1, 12, 12};
  data.classes = 4;
  for (unsigned n = 0; n < 24; ++n) {
    for (unsigned p = 0; p < 144; ++p)
      data.pixels.push_back(static_cast<std::uint8_t>(p * p * 7 + p * 3 + n * (29 + p)));
    data.labels.push_back(static_cast<Label>((n * n + n / 3) % 4));
  }
  return data;
}

void expect_near(const std::string& name, std::span<const float> values, double tolerance) {
  const auto found = golden().find(name);
  ASSERT_NE(found, golden().end()) << name;
  ASSERT_EQ(values.size(), found->second.size()) << name;
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(values[i], found->second[i], tolerance) << name << " " << i;
}

class BesidePyTorch : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa()) GTEST_SKIP() << "this machine lacks " << isa_name(GetParam());
    isa_.emplace(GetParam());
  }
  /// One epoch from the golden network, in order.
  static Network expect_epoch(const std::string& prefix, TrainRecipe recipe, double tolerance) {
    const Dataset data = golden_data();
    std::vector<std::uint32_t> order(data.size());
    std::iota(order.begin(), order.end(), 0u);
    recipe.batch_size = 10;
    Network net = golden_network();
    OptimizerState optimizer;
    ThreadPool pool(2);
    const EpochReport report = train_epoch(net, optimizer, pool,
                                           {.data = data,
                                            .recipe = recipe,
                                            .order = order,
                                            .learning_rate = recipe.optimizer.learning_rate,
                                            .on_step = {},
                                            .stop = {}});
    expect_near(prefix + "/losses", report.step_loss, 1e-5);
    for (const auto& [name, tensor] : net.tensors)
      expect_near(prefix + "/" + name, tensor.data, tolerance);
    return net;
  }
  static TrainRecipe adam() {
    TrainRecipe recipe;
    recipe.optimizer.learning_rate = 1e-2;
    return recipe;
  }
  static TrainRecipe sgd(double momentum, double weight_decay) {
    TrainRecipe recipe;
    recipe.optimizer.kind = OptimizerSpec::Kind::sgd;
    recipe.optimizer.learning_rate = 0.05;
    recipe.optimizer.momentum = momentum;
    recipe.optimizer.weight_decay = weight_decay;
    return recipe;
  }
  static TrainRecipe adversarial(TrainRecipe recipe) {
    recipe.regime = Regime::adversarial;
    recipe.attack.kind = AttackKind::fgm_l2;
    recipe.attack.epsilon = 2;
    return recipe;
  }
  std::optional<ForcedIsa> isa_;
};

TEST_P(BesidePyTorch, GradientsOfTheFirstBatch) {
  const Dataset data = golden_data();
  std::vector<std::uint32_t> order(10);
  std::iota(order.begin(), order.end(), 0u);
  TrainRecipe recipe = sgd(0, 0);
  const Network before = golden_network();
  Network after = before;
  OptimizerState optimizer;
  ThreadPool pool(2);
  recipe.batch_size = 10;
  train_epoch(after, optimizer, pool,
              {.data = data,
               .recipe = recipe,
               .order = order,
               .learning_rate = 1,
               .on_step = {},
               .stop = {}});
  for (const TensorSlot& slot : tensor_slots(before.spec)) {
    if (!slot.trainable) continue;
    auto gradient = before.tensors.at(slot.name).data;
    for (std::size_t i = 0; i < gradient.size(); ++i)
      gradient[i] -= after.tensors.at(slot.name).data[i];
    expect_near("gradient/" + slot.name, gradient, 1e-6);
  }
}

TEST_P(BesidePyTorch, LogitsAndInputGradient) {
  const Dataset data = golden_data();
  std::vector<float> image, gradient(144), logits(4);
  for (const std::uint8_t p : data.image(0)) image.push_back(static_cast<float>(p) / 255);
  ThreadPool pool(1);
  input_gradient(golden_network(), pool, image, std::span(data.labels).first(1),
                 LossKind::cross_entropy, gradient, logits);
  expect_near("eval/logits", logits, 1e-5);
  expect_near("eval/input_gradient", gradient, 1e-6);
}

TEST_P(BesidePyTorch, EpochOfAdam) { expect_epoch("adam", adam(), 2e-5); }
TEST_P(BesidePyTorch, EpochOfSgdWithMomentumAndDecay) { expect_epoch("sgd", sgd(0.9, 1e-2), 5e-6); }
TEST_P(BesidePyTorch, EpochOnAttackedImages) {
  expect_epoch("adversarial", adversarial(adam()), 2e-5);
}
TEST_P(BesidePyTorch, EpochOnBothLosses) {
  TrainRecipe recipe = adversarial(sgd(0, 0));
  recipe.clean_weight = 0.25;
  expect_epoch("mixed", recipe, 5e-6);
}

INSTANTIATE_TEST_SUITE_P(Isa, BesidePyTorch, testing::Values(Isa::baseline, Isa::avx2, Isa::avx512),
                         [](const auto& test) { return isa_name(test.param); });

}  // namespace
}  // namespace smoothcert::cpu
