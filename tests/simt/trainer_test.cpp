// The GPU trainer in the emulator: whole small epochs of every regime against training done plainly
// in double.
#include "cuda/train/trainer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cpu/training.hpp"
#include "emulated_device.hpp"
#include "gpu/step_schedule.hpp"
#include "kernel_support.hpp"
#include "reference_training.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::Batch;
using simt_test::EmulatedDevice;
using simt_test::ReferenceNetwork;
using simt_test::Shape;
using simt_test::small_network;
using simt_test::Values;

/// Eight images of 2 × 7 × 6 in three classes.
Dataset small_data() {
  Dataset data;
  data.name = "small";
  data.shape = {2, 7, 6};
  data.classes = 3;
  data.pixels = simt_test::random_bytes(8 * 84, 17);
  data.labels = {0, 1, 2, 0, 1, 2, 0, 1};
  data.sha256 = "small";
  return data;
}

const std::vector<std::uint32_t> kOrder{6, 1, 3, 0, 7, 2, 5};  // batches of 3, 3 and 1 short

TrainRecipe recipe_of(Regime regime) {
  TrainRecipe recipe;
  recipe.regime = regime;
  recipe.batch_size = 3;
  recipe.optimizer.learning_rate = 0.02;
  // Where a gradient is zero but for rounding (a bias before BatchNorm), Adam would otherwise turn
  // the rounding into whole steps.
  recipe.optimizer.eps = 1e-2;
  recipe.sigma = 0.3;
  recipe.attack.epsilon = 0.8;
  return recipe;
}

EpochRequest request_of(const Dataset& data, const TrainRecipe& recipe,
                        const std::vector<std::uint32_t>& order) {
  return {.data = data,
          .recipe = recipe,
          .order = order,
          .epoch = 0,
          .learning_rate = recipe.optimizer.learning_rate,
          .total_steps = 6,
          .seed = 77,
          .on_step = {},
          .stop = {}};
}

/// The same epoch, done plainly.
struct PlainEpoch {
  ReferenceNetwork net;
  std::map<std::string, Values> first, second;  // moments
  std::vector<double> loss, accuracy;

  PlainEpoch(const Network& start, const EpochRequest& request, std::uint64_t first_step)
      : net(start) {
    const TrainRecipe& recipe = request.recipe;
    const auto size = request.data.shape.size();
    const auto batch = static_cast<std::size_t>(recipe.batch_size);
    for (std::size_t at = 0; at < request.order.size(); at += batch) {
      const std::uint64_t global = first_step + at / batch;
      Batch images;
      std::vector<Label> labels;
      for (std::size_t i = at; i < std::min(at + batch, request.order.size()); ++i) {
        const std::uint32_t id = request.order[i];
        labels.push_back(request.data.labels[id]);
        Values x(size);
        for (std::uint32_t p = 0; p < size; ++p) {
          x[p] = request.data.image(id)[p] / 255.0;
          if (recipe.regime != Regime::smoothing) continue;
          if (recipe.lambda > 0) {  // in grey levels: the middle of the part that holds the pixel
            const std::uint64_t width = std::llround(510 * recipe.lambda);
            const auto below = [&](std::uint32_t word) { return word * width >> 32; };
            const auto offset = below(device::philox_at(request.seed, 12, 0, 0, p / 4).v[p % 4]);
            const auto split = below(
                device::philox_at(request.seed, 5, id, static_cast<std::uint32_t>(global), 0).v[0]);
            const double cut = static_cast<double>((offset + split) % width) + 0.5;
            const int grey = request.data.image(id)[p];
            x[p] = (grey > cut ? (cut + 255) / 2 : std::min(cut, 255.0) / 2) / 255;
            continue;
          }
          x[p] += recipe.sigma * double{device::normal_at(request.seed, 5, id,
                                                          static_cast<std::uint32_t>(global), p)};
          if (recipe.clamp) x[p] = std::clamp(x[p], 0.0, 1.0);
        }
        images.push_back(x);
      }
      step(recipe, request.learning_rate, global, images, labels);
    }
  }

  void step(const TrainRecipe& recipe, double rate, std::uint64_t global, const Batch& images,
            const std::vector<Label>& labels) {
    std::map<std::string, Values> gradient;
    double total = 0;
    const auto pass = [&](const Batch& x, double weight) {
      total += weight * net.loss(x, labels, LossKind::cross_entropy, true);
      for (auto& [name, g] : net.gradients(x, labels)) {
        gradient[name].resize(g.size());
        for (std::size_t i = 0; i < g.size(); ++i) gradient[name][i] += weight * g[i];
      }
      accuracy.push_back(net.accuracy(x, labels, true));
      net.forward(x, true, true);
    };
    if (recipe.regime == Regime::adversarial && recipe.mixed_batch) {
      Batch x = attacked(recipe, images, labels);
      std::copy_n(images.begin(), clean_images(recipe, images.size()), x.begin());
      pass(x, 1);
    } else if (recipe.regime == Regime::adversarial) {
      const Batch bad = attacked(recipe, images, labels);
      if (recipe.clean_weight > 0) {
        pass(images, recipe.clean_weight);
        accuracy.pop_back();
      }
      pass(bad, 1 - recipe.clean_weight);
    } else {
      pass(images, 1);
    }
    loss.push_back(total);
    update(recipe.optimizer, rate, static_cast<double>(global + 1), gradient);
  }

  Batch attacked(const TrainRecipe& recipe, const Batch& images, const std::vector<Label>& labels) {
    const AttackSpec& a = recipe.attack;
    const bool pgd = a.kind == AttackKind::pgd_l2 || a.kind == AttackKind::pgd_linf;
    const bool train = recipe.attack_mode == ForwardMode::train;
    const double length = pgd ? 2.5 * a.epsilon / a.steps : a.epsilon;
    Batch x = images;
    for (int s = 0; s < (pgd ? a.steps : 1); ++s) {
      const Batch g = net.input_gradient(x, labels, a.loss, train);
      if (train) net.forward(x, true, true);
      for (std::size_t i = 0; i < x.size(); ++i) {
        simt_test::reference_attack_step(a.kind, g[i], length, a.epsilon, images[i], x[i]);
      }
    }
    return x;
  }

  void update(const OptimizerSpec& o, double rate, double t,
              const std::map<std::string, Values>& gradient) {
    for (const auto& [name, gradients] : gradient) {
      Values &p = net.tensors.at(name), &m = first[name], &v = second[name];
      m.resize(p.size());
      v.resize(p.size());
      for (std::size_t i = 0; i < p.size(); ++i) {
        const double g = gradients[i] + o.weight_decay * p[i];
        if (o.kind == OptimizerSpec::Kind::adam) {
          m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
          v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
          p[i] -= rate * (m[i] / (1 - std::pow(o.beta1, t))) /
                  (std::sqrt(v[i] / (1 - std::pow(o.beta2, t))) + o.eps);
        } else {
          m[i] = o.momentum * m[i] + g;
          p[i] -= rate * m[i];
        }
      }
    }
  }
};

void expect_same_epoch(const TrainRecipe& recipe, const Shape& shape, double tolerance = 2e-4) {
  simt_test::use(shape);
  const Dataset data = small_data();
  Network net = small_network();
  const EpochRequest request = request_of(data, recipe, kOrder);
  PlainEpoch plain(net, request, 0);
  Trainer trainer(std::make_unique<EmulatedDevice>(), net.spec);
  trainer.load(net);
  OptimizerState optimizer;
  const EpochReport report = trainer.train_epoch(request, optimizer);
  trainer.store(net);
  EXPECT_EQ(optimizer.step, 3u);
  ASSERT_EQ(report.step_loss.size(), 3u);
  for (std::size_t s = 0; s < 3; ++s) {
    EXPECT_NEAR(report.step_loss[s], plain.loss[s], tolerance) << "step " << s;
    EXPECT_NEAR(report.step_accuracy[s], plain.accuracy[s], 1e-6) << "step " << s;
  }
  for (const auto& [name, tensor] : net.tensors) {
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      ASSERT_NEAR(tensor.data[i], plain.net.tensors.at(name)[i], tolerance) << name << " " << i;
    }
  }
  const bool adam = recipe.optimizer.kind == OptimizerSpec::Kind::adam;
  for (const auto& [name, values] : plain.first) {
    const Tensor& slot = optimizer.slots.at(name + (adam ? "/m" : "/momentum"));
    EXPECT_EQ(slot.shape, net.tensors.at(name).shape);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(slot.data[i], values[i], tolerance) << name;
    }
  }
}

TEST(Trainer, NormalEpoch) {
  for (const Shape& shape : simt_test::shapes()) {
    expect_same_epoch(recipe_of(Regime::normal), shape);
  }
}

TEST(Trainer, SmoothingEpoch) {
  TrainRecipe recipe = recipe_of(Regime::smoothing);
  expect_same_epoch(recipe, simt_test::shapes()[0]);
  recipe.clamp = false;
  expect_same_epoch(recipe, simt_test::shapes()[1]);
  recipe.lambda = 0.6;  // splitting noise instead
  expect_same_epoch(recipe, simt_test::shapes()[0]);
}

TEST(Trainer, AdversarialEpochInBothModes) {
  TrainRecipe recipe = recipe_of(Regime::adversarial);
  expect_same_epoch(recipe, simt_test::shapes()[0]);
  recipe.attack_mode = ForwardMode::eval;
  recipe.clean_weight = 0.3;
  expect_same_epoch(recipe, simt_test::shapes()[1]);
}

TEST(Trainer, AdversarialEpochOnMixedBatches) {
  TrainRecipe recipe = recipe_of(Regime::adversarial);
  recipe.mixed_batch = true;
  recipe.clean_weight = 0.4;
  expect_same_epoch(recipe, simt_test::shapes()[0]);
}

TEST(Trainer, AdversarialEpochWithPgdOnTheMargin) {
  TrainRecipe recipe = recipe_of(Regime::adversarial);
  recipe.attack.kind = AttackKind::pgd_l2;
  recipe.attack.loss = LossKind::margin;
  recipe.attack.steps = 2;
  expect_same_epoch(recipe, simt_test::shapes()[2]);
}

TEST(Trainer, SgdWithMomentumAndDecay) {
  TrainRecipe recipe = recipe_of(Regime::normal);
  recipe.optimizer.kind = OptimizerSpec::Kind::sgd;
  recipe.optimizer.learning_rate = 0.1;
  recipe.optimizer.momentum = 0.9;
  recipe.optimizer.weight_decay = 0.01;
  expect_same_epoch(recipe, simt_test::shapes()[0]);
}

/// The CPU's trainer, from the same seed: the same noise, starts and order of passes.
TEST(Trainer, AgreesWithTheCpu) {
  const Dataset data = small_data();
  std::vector<TrainRecipe> recipes;
  recipes.push_back(recipe_of(Regime::normal));
  recipes.push_back(recipe_of(Regime::smoothing));
  recipes.push_back(recipe_of(Regime::smoothing));
  recipes.back().lambda = 0.6;
  recipes.push_back(recipe_of(Regime::adversarial));
  recipes.back().clean_weight = 0.4;
  recipes.push_back(recipe_of(Regime::adversarial));
  recipes.back().attack.kind = AttackKind::pgd_linf;
  recipes.back().attack.steps = 2;
  recipes.back().attack.epsilon = 0.1;
  recipes.back().attack.random_start = true;
  recipes.back().attack_mode = ForwardMode::eval;
  recipes.push_back(recipe_of(Regime::adversarial));
  recipes.back().attack.kind = AttackKind::pgd_l2;
  recipes.back().attack.steps = 2;
  recipes.back().attack.random_start = true;
  recipes.back().clean_weight = 1;
  simt_test::use(simt_test::shapes()[1]);
  ThreadPool pool(1);
  for (const TrainRecipe& recipe : recipes) {
    SCOPED_TRACE("recipe " + std::to_string(&recipe - recipes.data()));
    EpochRequest request = request_of(data, recipe, kOrder);
    request.seed = 123456789012345u;
    Network on_cpu = small_network(), on_gpu = on_cpu;
    OptimizerState cpu_state, gpu_state;
    cpu_state.step = gpu_state.step = 70000;
    const EpochReport expected = cpu::train_epoch(on_cpu, cpu_state, pool, request);
    Trainer trainer(std::make_unique<EmulatedDevice>(), on_gpu.spec);
    trainer.load(on_gpu);
    const EpochReport report = trainer.train_epoch(request, gpu_state);
    trainer.store(on_gpu);
    EXPECT_EQ(gpu_state.step, cpu_state.step);
    EXPECT_THAT(report.step_loss,
                testing::Pointwise(testing::FloatNear(1e-5f), expected.step_loss));
    EXPECT_EQ(report.step_accuracy, expected.step_accuracy);
    for (const auto& [name, tensor] : on_cpu.tensors) {
      EXPECT_THAT(on_gpu.tensors.at(name).data,
                  testing::Pointwise(testing::FloatNear(2e-5f), tensor.data))
          << name << ", regime " << static_cast<int>(recipe.regime);
    }
    ASSERT_EQ(gpu_state.slots.size(), cpu_state.slots.size());
    for (const auto& [name, slot] : cpu_state.slots) {
      EXPECT_THAT(gpu_state.slots.at(name).data,
                  testing::Pointwise(testing::FloatNear(1e-5f), slot.data))
          << name;
    }
  }
}

TEST(Trainer, TwoEpochsAreOneInterruptedByAResume) {
  const Dataset data = small_data();
  TrainRecipe recipe = recipe_of(Regime::smoothing);
  recipe.cosine = true;
  const EpochRequest request = request_of(data, recipe, kOrder);
  simt_test::use(simt_test::shapes()[0]);
  Network once = small_network(), resumed = once;
  OptimizerState state;
  Trainer trainer(std::make_unique<EmulatedDevice>(), once.spec);
  trainer.load(once);
  trainer.train_epoch(request, state);
  trainer.store(resumed);
  const OptimizerState between = state;
  trainer.train_epoch(request, state);
  trainer.store(once);
  EXPECT_EQ(state.step, 6u);

  OptimizerState again = between;
  Trainer fresh(std::make_unique<EmulatedDevice>(), once.spec);
  fresh.load(resumed);
  fresh.train_epoch(request, again);
  fresh.store(resumed);
  for (const auto& [name, tensor] : once.tensors) {
    EXPECT_EQ(tensor.data, resumed.tensors.at(name).data) << name;
  }
  for (const auto& [name, slot] : state.slots) EXPECT_EQ(slot.data, again.slots.at(name).data);
}

TEST(Trainer, StepsAreReportedInOrderAndAStopIsHeard) {
  const Dataset data = small_data();
  TrainRecipe recipe = recipe_of(Regime::normal);
  recipe.batch_size = 1;
  std::vector<std::uint32_t> order(150);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i % 8);
  EpochRequest request = request_of(data, recipe, order);
  std::stop_source stop;
  std::uint64_t next = 10;
  request.on_step = [&](const StepReport& step) {
    EXPECT_EQ(step.step, next++);
    EXPECT_EQ(step.steps_in_epoch, 150u);
    EXPECT_GT(step.loss, 0.0f);
  };
  request.stop = stop.get_token();
  simt_test::use({64, 0});
  NetworkSpec spec;  // the smallest there is
  spec.name = "linear";
  spec.input = {2, 7, 6};
  spec.classes = 3;
  Layer flatten, fc;
  flatten.kind = LayerKind::flatten, flatten.name = "flatten", flatten.inputs = {-1};
  fc.kind = LayerKind::linear, fc.name = "fc", fc.inputs = {0}, fc.out_channels = 3;
  spec.layers = {flatten, fc};
  infer_shapes(spec);
  const Network net = initialise(spec, 1);
  auto owned = std::make_unique<EmulatedDevice>();
  EmulatedDevice& device = *owned;
  Trainer trainer(std::move(owned), spec);
  trainer.load(net);
  OptimizerState state;
  state.step = 10;
  const EpochReport report = trainer.train_epoch(request, state);
  EXPECT_EQ(next, 160u);
  EXPECT_EQ(report.step_loss.size(), 150u);
  EXPECT_LT(report.step_loss.back(), report.step_loss.front());
  EXPECT_EQ(device.replays.size(), 1u) << "one graph serves every step of a batch size";
  EXPECT_EQ(device.marks, 3u) << "the host waits for pieces, not for steps";

  request.on_step = [&](const StepReport&) { stop.request_stop(); };
  EXPECT_THROW(trainer.train_epoch(request, state), Interrupted);
  EXPECT_EQ(state.step, 160u) << "an interrupted epoch leaves the optimiser as it was";
}

TEST(Trainer, InputGradientsAreThoseOfTheEvaluationMode) {
  const Network net = small_network();
  constexpr std::size_t kImages = 4;
  const std::vector<float> images = simt_test::random_floats(kImages * 84, 0, 1, 6);
  const std::vector<Label> labels{0, 2, 1, 1};
  Batch batch;
  for (std::size_t i = 0; i < kImages; ++i) {
    batch.emplace_back(images.begin() + i * 84, images.begin() + (i + 1) * 84);
  }
  ReferenceNetwork reference(net);
  const Batch expected_logits = reference.forward(batch, false, false);
  for (const LossKind loss : {LossKind::cross_entropy, LossKind::margin}) {
    const Batch expected = reference.input_gradient(batch, labels, loss, false);
    for (const Shape& shape : simt_test::shapes()) {
      simt_test::use(shape);
      Trainer trainer(std::make_unique<EmulatedDevice>(), net.spec);
      trainer.load(net);
      std::vector<float> gradient(images.size()), logits(kImages * 3);
      trainer.input_gradient(images, labels, loss, gradient, logits);
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        ASSERT_NEAR(gradient[i], expected[i / 84][i % 84], 2e-5);
      }
      for (std::size_t i = 0; i < logits.size(); ++i) {
        ASSERT_NEAR(logits[i], expected_logits[i / 3][i % 3], 1e-5);
      }
    }
  }
}

TEST(Trainer, GradientsComeInSmallerBatchesWhereMemoryIsShort) {
  simt_test::use({64, 0});
  const Network net = small_network();
  const TrainPlan plan = make_train_plan(net.spec);
  const std::vector<float> images = simt_test::random_floats(9 * 84, 0, 1, 6);
  const std::vector<Label> labels{0, 2, 1, 1, 0, 2, 1, 0, 2};
  std::vector<float> expected(images.size()), got(images.size());
  {
    Trainer trainer(std::make_unique<EmulatedDevice>(), net.spec);
    trainer.load(net);
    trainer.input_gradient(images, labels, LossKind::cross_entropy, expected, {});
  }
  const std::size_t for_three = 3 * (2 * plan.values + 84 + plan.pools + 8) * sizeof(float) + 16000;
  Trainer trainer(std::make_unique<EmulatedDevice>(for_three), net.spec);
  trainer.load(net);
  trainer.input_gradient(images, labels, LossKind::cross_entropy, got, {});
  EXPECT_EQ(got, expected) << "an image's gradient does not depend on its batch mates";
  EXPECT_THROW(Trainer(std::make_unique<EmulatedDevice>(100), net.spec), OutOfDeviceMemory);
}

TEST(Trainer, RefusesWhatDoesNotFit) {
  simt_test::use({64, 0});
  const Network net = small_network();
  Trainer trainer(std::make_unique<EmulatedDevice>(), net.spec);
  trainer.load(net);
  std::vector<float> images(84), gradient(83);
  const std::vector<Label> labels{0};
  EXPECT_THROW(trainer.input_gradient(images, labels, LossKind::margin, gradient, {}), UsageError);
  Dataset data = small_data();
  const TrainRecipe recipe = recipe_of(Regime::normal);
  OptimizerState state;
  const std::vector<std::uint32_t> beyond{8};
  EXPECT_THROW(trainer.train_epoch(request_of(data, recipe, beyond), state), UsageError);
  data.shape = {1, 14, 6};
  EXPECT_THROW(trainer.train_epoch(request_of(data, recipe, kOrder), state), UsageError);
}

}  // namespace
}  // namespace smoothcert::gpu
