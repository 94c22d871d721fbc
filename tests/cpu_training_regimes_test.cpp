// What an epoch of each regime does as a whole: it learns, repeats itself bit for bit whatever the
// number of threads, draws the noise it says, stops where asked to.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <optional>
#include <random>

#include "cpu/train_kernels.hpp"
#include "cpu/training.hpp"
#include "cpu_engine_support.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/split_noise.hpp"
#include "training_reference_support.hpp"

namespace smoothcert::cpu {
namespace {

TrainRecipe recipe_of(Regime regime) {
  TrainRecipe recipe;
  recipe.regime = regime;
  recipe.batch_size = 48;
  recipe.sigma = 0.5;
  return recipe;
}

/// Every way through a step: the regimes, the mixed loss, PGD with random starts, evaluation mode.
std::vector<TrainRecipe> recipes() {
  TrainRecipe normal = recipe_of(Regime::normal), smoothing = recipe_of(Regime::smoothing),
              study = recipe_of(Regime::adversarial), mixed = study, pgd = study;
  mixed.clean_weight = 0.5;
  mixed.attack_mode = ForwardMode::eval;
  mixed.attack.kind = AttackKind::fgm_linf;
  mixed.attack.epsilon = 0.1;
  mixed.optimizer.kind = OptimizerSpec::Kind::sgd;
  mixed.optimizer.momentum = 0.9;
  mixed.cosine = true;
  pgd.attack.kind = AttackKind::pgd_l2;
  pgd.attack.epsilon = 1;
  pgd.attack.steps = 3;
  pgd.attack.random_start = true;
  pgd.attack.loss = LossKind::margin;
  TrainRecipe split = smoothing;
  split.lambda = 0.6;
  return {normal, smoothing, study, mixed, pgd, split};
}

struct Trained {
  Network net;
  OptimizerState optimizer;
  std::vector<float> losses;
  double accuracy = 0;  ///< of the last epoch
};

Trained train_epochs(const NetworkSpec& spec, const Dataset& data, const TrainRecipe& recipe,
                     int epochs, int threads) {
  Trained t{initialise(spec, 3), {}, {}};
  ThreadPool pool(threads);
  std::vector<std::uint32_t> order(data.size());
  std::iota(order.begin(), order.end(), 0u);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const EpochReport report = train_epoch(t.net, t.optimizer, pool,
                                           {.data = data,
                                            .recipe = recipe,
                                            .order = order,
                                            .epoch = epoch,
                                            .learning_rate = recipe.optimizer.learning_rate,
                                            .total_steps = 100,
                                            .seed = 5,
                                            .on_step = {},
                                            .stop = {}});
    t.losses.insert(t.losses.end(), report.step_loss.begin(), report.step_loss.end());
    t.accuracy = report.step_accuracy.back();
  }
  return t;
}

TEST(TrainingRegimes, RepeatBitForBitOnAnyNumberOfThreads) {
  for (const char* name : {"convnn", "mlp"}) {
    const NetworkSpec spec = builtin_network(name);
    const Dataset data = random_dataset(spec, 130, 2);
    for (const TrainRecipe& recipe : recipes()) {
      const Trained once = train_epochs(spec, data, recipe, 2, 1);
      for (const int threads : {2, 9}) {  // 9: more than a batch has lane groups
        const Trained again = train_epochs(spec, data, recipe, 2, threads);
        EXPECT_EQ(once.losses, again.losses);
        for (const auto& [tensor, values] : once.net.tensors)
          EXPECT_EQ(values.data, again.net.tensors.at(tensor).data) << name << " " << tensor;
        EXPECT_EQ(again.optimizer.step, 6u);
        for (const auto& [slot, values] : once.optimizer.slots)
          EXPECT_EQ(values.data, again.optimizer.slots.at(slot).data) << slot;
      }
    }
  }
}

TEST(TrainingRegimes, InstructionSetsAgreeToRounding) {
  const NetworkSpec spec = builtin_network("convnn");
  const Dataset data = random_dataset(spec, 130, 2);
  for (const TrainRecipe& recipe : recipes()) {
    std::optional<Trained> baseline;
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
      if (isa > detected_isa()) continue;
      const ForcedIsa forced(isa);
      Trained trained = train_epochs(spec, data, recipe, 1, 2);
      if (!baseline) {
        baseline = std::move(trained);
        continue;
      }
      for (std::size_t i = 0; i < baseline->losses.size(); ++i)
        EXPECT_NEAR(baseline->losses[i], trained.losses[i], 2e-4) << isa_name(isa);
    }
  }
}

TEST(TrainingRegimes, SixtyFourImagesAreLearntByHeart) {
  const NetworkSpec spec = builtin_network("convnn");
  const Dataset data = random_dataset(spec, 64, 2);
  TrainRecipe recipe = recipe_of(Regime::normal);
  recipe.optimizer.learning_rate = 0.01;
  recipe.batch_size = 64;
  const Trained trained = train_epochs(spec, data, recipe, 150, 2);
  EXPECT_GT(trained.losses.front(), 2.0f);
  EXPECT_LT(trained.losses.back(), 0.3f);
  EXPECT_GT(trained.accuracy, 0.95);
}

TEST(TrainingRegimes, AnAttackRaisesTheLossItIsTrainedOn) {
  const NetworkSpec spec = builtin_network("convnn");
  const Dataset data = random_dataset(spec, 64, 2);
  TrainRecipe normal = recipe_of(Regime::normal), attacked = recipe_of(Regime::adversarial);
  attacked.attack.epsilon = 0.5;
  normal.batch_size = attacked.batch_size = 64;
  EXPECT_GT(train_epochs(spec, data, attacked, 1, 2).losses[0],
            train_epochs(spec, data, normal, 1, 2).losses[0] + 0.01f);
}

TEST(TrainingRegimes, NoiseIsTheCountersOfItsImageAndStep) {
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa > detected_isa()) continue;
    const ForcedIsa forced(isa);
    const TrainKernels& kernels = active_train_kernels();
    const auto lanes = static_cast<std::size_t>(kernels.lanes);
    constexpr std::size_t kPixels = 783;  // no multiple of a Philox group
    constexpr std::uint64_t kSeed = 0x123456789ABCDEFull;
    std::vector<std::uint32_t> ids;
    for (std::uint32_t l = 0; l < lanes; ++l) ids.push_back(l * 3777 + 59000);
    for (const bool clamp : {true, false}) {
      alignas(64) static float x[kPixels * 16];
      std::fill(std::begin(x), std::end(x), 0.25f);
      kernels.add_noise({ids.data(), kPixels, kSeed, 77, 0.5f, clamp}, x);
      for (std::size_t p = 0; p < kPixels; ++p)
        for (std::size_t l = 0; l < lanes; ++l) {
          const float z = device::normal_at(kSeed, static_cast<std::uint32_t>(Purpose::train_noise),
                                            ids[l], 77, static_cast<std::uint32_t>(p));
          ASSERT_EQ(x[p * lanes + l],
                    device::gaussian_pixel<device::ScalarMath>(0.25f, 0.5f, z, clamp));
        }
    }
  }
}

TEST(TrainingRegimes, SplittingNoiseShowsEachImageInOneSplit) {
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa > detected_isa()) continue;
    const ForcedIsa forced(isa);
    const TrainKernels& kernels = active_train_kernels();
    const auto lanes = static_cast<std::size_t>(kernels.lanes);
    constexpr std::size_t kPixels = 256;  // every grey level
    constexpr std::uint64_t kSeed = 0x123456789ABCDEFull;
    for (const std::uint32_t width : {255u, 510u, 1u << 19}) {
      std::vector<std::uint32_t> ids;
      for (std::uint32_t l = 0; l < lanes; ++l) ids.push_back(l * 3777 + 59000);
      alignas(64) static float x[kPixels * 16];
      for (std::size_t p = 0; p < kPixels; ++p)
        std::fill_n(x + p * lanes, lanes, static_cast<float>(p) * device::kPixelScale);
      kernels.add_noise({ids.data(), kPixels, kSeed, 77, 0.5f, true, width}, x);
      for (std::uint32_t p = 0; p < kPixels; ++p)
        for (std::size_t l = 0; l < lanes; ++l)
          ASSERT_EQ(x[p * lanes + l],
                    device::split_input(device::split_code(
                        static_cast<int>(p), device::split_offset(kSeed, p, width),
                        device::training_split(kSeed, ids[l], 77, width), width)));
    }
  }
}

TEST(TrainingRegimes, StepsAreReportedInOrderAndStopBetweenThem) {
  const NetworkSpec spec = builtin_network("convnn");
  const Dataset data = random_dataset(spec, 200, 2);
  const TrainRecipe recipe = recipe_of(Regime::normal);
  std::vector<std::uint32_t> order(data.size());
  std::iota(order.begin(), order.end(), 0u);
  std::vector<std::uint64_t> seen;
  std::stop_source stop;
  Network net = initialise(spec, 3);
  OptimizerState optimizer;
  ThreadPool pool(2);
  EXPECT_THROW(train_epoch(net, optimizer, pool,
                           {.data = data,
                            .recipe = recipe,
                            .order = order,
                            .learning_rate = 1e-3,
                            .seed = 5,
                            .on_step =
                                [&](const StepReport& step) {
                                  seen.push_back(step.step);
                                  EXPECT_EQ(step.steps_in_epoch, 5u);
                                  if (step.step == 2) stop.request_stop();
                                },
                            .stop = stop.get_token()}),
               Interrupted);
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{0, 1, 2}));
  EXPECT_EQ(optimizer.step, 3u);
  // What was done is what three steps give.
  const Trained three = train_epochs(spec, random_dataset(spec, 200, 2), recipe, 0, 1);
  Network expected = three.net;
  OptimizerState state;
  train_epoch(expected, state, pool,
              {.data = data,
               .recipe = recipe,
               .order = std::span(order).first(144),
               .learning_rate = 1e-3,
               .seed = 5,
               .on_step = {},
               .stop = {}});
  for (const auto& [name, tensor] : expected.tensors)
    EXPECT_EQ(tensor.data, net.tensors.at(name).data) << name;
}

TEST(TrainingRegimes, AFailingCallbackIsPassedOn) {
  const NetworkSpec spec = builtin_network("convnn");
  const Dataset data = random_dataset(spec, 200, 2);
  const TrainRecipe recipe = recipe_of(Regime::normal);
  const std::vector<std::uint32_t> order{1, 2, 3};
  Network net = initialise(spec, 3);
  OptimizerState optimizer;
  ThreadPool pool(3);
  EXPECT_THROW(
      train_epoch(net, optimizer, pool,
                  {.data = data,
                   .recipe = recipe,
                   .order = order,
                   .on_step = [](const StepReport&) { throw std::runtime_error("full disk"); },
                   .stop = {}}),
      std::runtime_error);
}

TEST(TrainingRegimes, RefusesWhatCannotBeTrained) {
  const NetworkSpec spec = builtin_network("convnn");
  const Dataset data = random_dataset(spec, 20, 2);
  TrainRecipe recipe = recipe_of(Regime::normal);
  Network net = initialise(spec, 3);
  OptimizerState optimizer;
  ThreadPool pool(1);
  const std::vector<std::uint32_t> beyond{3, 20};
  const auto request = [&](std::span<const std::uint32_t> order) {
    return EpochRequest{.data = data, .recipe = recipe, .order = order, .on_step = {}, .stop = {}};
  };
  EXPECT_THROW(train_epoch(net, optimizer, pool, request(beyond)), UsageError);
  EXPECT_TRUE(train_epoch(net, optimizer, pool, request({})).step_loss.empty());
  optimizer.slots["conv1.weight/m"] = {{2}, {0, 0}};
  EXPECT_THROW(train_epoch(net, optimizer, pool, request(std::span(beyond).first(1))), Error);
  std::vector<float> images(784 * 2), gradient(784 * 2);
  const std::vector<Label> labels{3, 10}, one{3};
  EXPECT_THROW(input_gradient(net, pool, images, labels, LossKind::cross_entropy, gradient, {}),
               UsageError);
  EXPECT_THROW(input_gradient(net, pool, images, one, LossKind::cross_entropy, gradient, {}),
               UsageError);
}

}  // namespace
}  // namespace smoothcert::cpu
