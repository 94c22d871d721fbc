// Training and gradients on a GPU against the CPU's, engines against each other, guard bands around
// every array.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "cuda/layers/library_engine.hpp"
#include "cuda/runtime/context.hpp"
#include "cuda/train/cuda_queue.hpp"
#include "cuda/train/trainer.hpp"
#include "gpu_support.hpp"
#include "smoothcert/attack.hpp"

namespace smoothcert {
namespace {

using gpu_test::fewer;
using gpu_test::floats_of;
using gpu_test::random_data;

class GpuTraining : public gpu_test::GpuTest {
 protected:
  void TearDown() override { unsetenv("SMOOTHCERT_GPU_ENGINE"); }
};

constexpr int kBatch = gpu_test::kEmulated ? 4 : 32;

std::vector<TrainRecipe> recipes() {
  std::vector<TrainRecipe> all;
  for (const char* name :
       {"normal", "adversarial", "smoothing", "adversarial-strong", "mnist-split"}) {
    all.push_back(builtin_recipe(name));
    all.back().batch_size = kBatch;
    all.back().optimizer.eps = 1e-3;  // see trainer_test.cpp: rounding of zero gradients
  }
  all.push_back(builtin_recipe("lenet-gaussian"));
  all.back().batch_size = kBatch;
  all.push_back(all[1]);
  all.back().name = "pgd";
  all.back().attack = attack_from_name("pgd-linf");
  all.back().attack.steps = 3;
  all.back().attack.random_start = true;
  return all;
}

struct Trained {
  Network net;
  OptimizerState optimizer;
  EpochReport report;
};

Trained one_epoch(Backend& backend, const Network& start, const TrainRecipe& recipe,
                  const Dataset& data) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < data.size(); ++i) order.push_back((i * 7 + 3) % data.size());
  const EpochRequest request{.data = data,
                             .recipe = recipe,
                             .order = order,
                             .epoch = 0,
                             .learning_rate = recipe.optimizer.learning_rate,
                             .total_steps = 100,
                             .seed = 5,
                             .on_step = {},
                             .stop = {}};
  Trained t{start, {}, {}};
  const auto model = backend.load(start);
  t.report = model->train_epoch(request);
  model->download(t.net);
  model->download(t.optimizer);
  return t;
}

double largest_difference(const Network& a, const Network& b) {
  double most = 0;
  for (const auto& [name, tensor] : a.tensors) {
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      most = std::max(most, std::abs(double{tensor.data[i]} - b.tensors.at(name).data[i]));
    }
  }
  return most;
}

TEST_F(GpuTraining, AnEpochIsCloseToTheCpusAndTheSameEveryTime) {
  for (const std::string network : {"convnn", "lenet"}) {
    if (gpu_test::kEmulated && network == "lenet") continue;  // minutes
    const Network start = initialise(builtin_network(network), 3);
    const Dataset data = random_data(start.spec, fewer(150), 4);  // the last batch is short
    for (const TrainRecipe& recipe : recipes()) {
      const Trained expected = one_epoch(*cpu, start, recipe, data);
      for (const char* engine : {"library", "direct"}) {
        setenv("SMOOTHCERT_GPU_ENGINE", engine, 1);
        const Trained got = one_epoch(*cuda, start, recipe, data);
        const std::string what = network + " " + recipe.name + " " + engine;
        EXPECT_LT(largest_difference(got.net, expected.net), 2e-3) << what;
        EXPECT_THAT(got.report.step_loss,
                    testing::Pointwise(testing::FloatNear(2e-2f), expected.report.step_loss))
            << what;
        EXPECT_EQ(got.optimizer.step, expected.optimizer.step);
        EXPECT_EQ(got.optimizer.slots.size(), expected.optimizer.slots.size());
        const Trained again = one_epoch(*cuda, start, recipe, data);
        EXPECT_EQ(largest_difference(got.net, again.net), 0) << what << ": not deterministic";
        EXPECT_EQ(got.report.step_loss, again.report.step_loss) << what;
      }
    }
  }
}

TEST_F(GpuTraining, InputGradientsAreCloseToTheCpus) {
  for (const std::string& name : small_network_names()) {
    const Network net = initialise(builtin_network(name), 3);
    const std::size_t images = fewer(37);
    const Dataset data = random_data(net.spec, images, 4);
    const auto x = floats_of(data);
    for (const LossKind loss : {LossKind::cross_entropy, LossKind::margin}) {
      std::vector<float> a(x.size()), b(x.size());
      std::vector<float> logits_a(images * static_cast<std::size_t>(net.spec.classes)),
          logits_b = logits_a;
      cpu->load(net)->input_gradient(x, data.labels, loss, a, logits_a);
      cuda->load(net)->input_gradient(x, data.labels, loss, b, logits_b);
      float top = 0;
      for (const float v : a) top = std::max(top, std::abs(v));
      EXPECT_THAT(b, testing::Pointwise(testing::FloatNear(1e-4f * top), a)) << name;
      EXPECT_THAT(logits_b, testing::Pointwise(testing::FloatNear(1e-4f), logits_a)) << name;
    }
  }
}

/// Concatenations and mean poolings, 39 convolutions: on small images, as emulation is slow.
TEST_F(GpuTraining, DenseNetTrainsAndIsAttackedAsOnTheCpu) {
  NetworkSpec spec = builtin_network("densenet-40");
  spec.input.height = spec.input.width = gpu_test::kEmulated ? 4 : 16;
  Network net = initialise(std::move(spec), 3);
  const Dataset data = random_data(net.spec, 3, 5);
  TrainRecipe recipe = builtin_recipe("normal");
  recipe.batch_size = 3;
  recipe.optimizer.eps = 1e-3;
  const auto on_gpu = one_epoch(*cuda, net, recipe, data);
  const auto on_cpu = one_epoch(*cpu, net, recipe, data);
  ASSERT_EQ(on_gpu.report.step_loss.size(), 1u);
  EXPECT_NEAR(on_gpu.report.step_loss[0], on_cpu.report.step_loss[0], 1e-4);
  for (const char* name : {"classifier.weight", "features.conv0.weight"})
    for (std::size_t i = 0; i < net.tensors.at(name).data.size(); i += 7)
      EXPECT_NEAR(on_gpu.net.tensors.at(name).data[i], on_cpu.net.tensors.at(name).data[i], 2e-4)
          << name << " " << i;
  const auto x = floats_of(data);
  const std::vector<std::uint32_t> ids{0, 1, 2};
  AttackSpec attack = attack_from_name("l2");
  attack.epsilon = 0.5;
  std::vector<float> moved[2];
  Backend* const backends[] = {cuda.get(), cpu.get()};
  for (std::size_t i = 0; i < 2; ++i) {
    moved[i].resize(x.size());
    attack_batch(*backends[i]->load(net), attack, x, data.labels, ids, moved[i]);
  }
  EXPECT_NE(moved[1], x);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(moved[0][i], moved[1][i], 1e-3) << i;
}

TEST_F(GpuTraining, EnginesAgree) {
  const gpu::ConvShape shapes[] = {{static_cast<int>(fewer(128)), 1, 28, 28, 5, 24, 24, 5, 1, 0},
                                   {static_cast<int>(fewer(22)), 20, 12, 12, 50, 8, 8, 5, 1, 0},
                                   {9, 3, 32, 32, 16, 16, 16, 3, 2, 1},
                                   {3, 2, 7, 6, 3, 5, 4, 3, 1, 0}};
  const gpu::OwnedStream stream = gpu::make_stream();
  const auto direct = gpu::make_direct_engine();
  const auto library = gpu::make_library_engine(gpu::MathPrecision::fp32);
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  const auto random = [&](std::size_t count) {
    std::vector<float> v(count);
    for (float& x : v) x = normal(rng);
    return gpu::upload(v, stream.get());
  };
  const auto compare = [&](const gpu::DeviceBuffer<float>& a, const gpu::DeviceBuffer<float>& b,
                           const std::string& what) {
    std::vector<float> x(a.size()), y(b.size());
    gpu::copy_to_host(x.data(), a.data(), x.size(), stream.get());
    gpu::copy_to_host(y.data(), b.data(), y.size(), stream.get());
    SMOOTHCERT_CUDA(cudaStreamSynchronize(stream.get()));
    float top = 0;
    for (const float v : x) top = std::max(top, std::abs(v));
    EXPECT_THAT(y, testing::Pointwise(testing::FloatNear(2e-5f * top), x)) << what;
  };
  for (const bool linear : {false, true}) {
    for (gpu::ConvShape s : shapes) {
      if (linear) {
        s = {s.images, s.in_channels * s.in_height * s.in_width, 1, 1, s.out_channels, 1, 1, 1, 1,
             0};
      }
      const auto count = [&](int c, int h, int w) {
        return static_cast<std::size_t>(s.images) * static_cast<std::size_t>(c * h * w);
      };
      const std::size_t in = count(s.in_channels, s.in_height, s.in_width);
      const std::size_t out = count(s.out_channels, s.out_height, s.out_width);
      const auto weights =
          static_cast<std::size_t>(s.out_channels * s.in_channels * s.kernel * s.kernel);
      const auto x = random(in), w = random(weights), dy = random(out);
      const auto bias = random(static_cast<std::size_t>(s.out_channels));
      library->prepare(s, linear, true);
      gpu::DeviceBuffer<float> scratch(scratch_floats(s));
      direct->use_scratch(scratch.data());
      library->use_scratch(scratch.data());
      for (const bool add : {false, true}) {
        gpu::DeviceBuffer<float> y[2], dx[2], dw[2], db[2];
        gpu::LayerEngine* const engines[] = {direct.get(), library.get()};
        const std::vector<float> ones(std::max({in, out, weights}), 1.0f);
        for (int e = 0; e < 2; ++e) {
          gpu::LayerEngine& engine = *engines[e];
          y[e] = gpu::DeviceBuffer<float>(out);
          dx[e] = gpu::upload(std::vector<float>(in, 1.0f), stream.get());
          dw[e] = gpu::upload(std::vector<float>(weights, 1.0f), stream.get());
          db[e] = gpu::upload(std::vector<float>(bias.size(), 1.0f), stream.get());
          const auto st = stream.get();
          if (linear) {
            engine.linear(st, s, x.data(), w.data(), bias.data(), y[e].data());
            engine.linear_input_gradient(st, s, dy.data(), w.data(), add, dx[e].data());
            engine.linear_weight_gradient(st, s, x.data(), dy.data(), add, dw[e].data(),
                                          db[e].data());
          } else {
            engine.conv(st, s, x.data(), w.data(), bias.data(), y[e].data());
            engine.conv_input_gradient(st, s, dy.data(), w.data(), add, dx[e].data());
            engine.conv_weight_gradient(st, s, x.data(), dy.data(), add, dw[e].data(),
                                        db[e].data());
          }
        }
        compare(y[0], y[1], "forward");
        compare(dx[0], dx[1], "input gradient");
        compare(dw[0], dw[1], "weight gradient");
        compare(db[0], db[1], "bias gradient");
      }
    }
  }
}

/// A GPU whose arrays lie between guard bands, looked at when they are given back.
class GuardedDevice final : public gpu::DeviceQueue {
 public:
  explicit GuardedDevice(bool* intact) : inner_(gpu::make_cuda_queue()), intact_(intact) {}
  gpu::Stream stream() const override { return inner_->stream(); }
  gpu::LayerEngine& engine() override { return inner_->engine(); }
  void* allocate(std::size_t bytes) override {
    auto* base = static_cast<unsigned char*>(inner_->allocate(bytes + 2 * kGuard));
    // Of device memory it returns early, and no stream of ours waits for the default one.
    SMOOTHCERT_CUDA(cudaMemset(base, 0xA5, bytes + 2 * kGuard));
    SMOOTHCERT_CUDA(cudaDeviceSynchronize());
    sizes_[base + kGuard] = bytes;
    return base + kGuard;
  }
  void release(void* memory) noexcept override {
    auto* at = static_cast<unsigned char*>(memory);
    std::vector<unsigned char> band(kGuard);
    for (unsigned char* first : {at - kGuard, at + sizes_.at(at)}) {
      inner_->download(band.data(), first, kGuard);
      *intact_ &= std::all_of(band.begin(), band.end(), [](unsigned char c) { return c == 0xA5; });
    }
    inner_->release(at - kGuard);
    sizes_.erase(at);
  }
  void upload(void* d, const void* h, std::size_t n) override { inner_->upload(d, h, n); }
  void download(void* h, const void* d, std::size_t n) override { inner_->download(h, d, n); }
  void download_beside(void* h, const void* d, std::size_t n) override {
    inner_->download_beside(h, d, n);
  }
  void zero(void* d, std::size_t n) override { inner_->zero(d, n); }
  void replay(const std::string& key, const std::function<void()>& issue) override {
    inner_->replay(key, issue);
  }
  void forget_captures() override { inner_->forget_captures(); }
  std::uint64_t mark() override { return inner_->mark(); }
  void wait(std::uint64_t mark) override { inner_->wait(mark); }

 private:
  static constexpr std::size_t kGuard = 4096;
  std::unique_ptr<gpu::DeviceQueue> inner_;
  bool* intact_;
  std::map<unsigned char*, std::size_t> sizes_;
};

TEST_F(GpuTraining, NothingIsWrittenOutsideItsArray) {
  bool intact = true;
  const Network net = initialise(builtin_network("convnn"), 3);
  const Dataset data = random_data(net.spec, 70, 4);
  const std::vector<std::uint32_t> order{1, 5, 2, 60, 69, 0, 3};
  {
    gpu::Trainer trainer(std::make_unique<GuardedDevice>(&intact), net.spec);
    trainer.load(net);
    OptimizerState state;
    for (TrainRecipe recipe : recipes()) {
      recipe.batch_size = 3;
      const EpochRequest request{data, recipe, order, 0, 1e-3, 10, 1, {}, {}};
      state = {};
      trainer.train_epoch(request, state);
    }
    const auto x = floats_of(data);
    std::vector<float> gradient(x.size());
    trainer.input_gradient(x, data.labels, LossKind::margin, gradient, {});
  }
  EXPECT_TRUE(intact);
}

TEST_F(GpuTraining, AStopLeavesTheModelAsItWas) {
  const Network net = initialise(builtin_network("convnn"), 3);
  const Dataset data = random_data(net.spec, 600, 4);
  std::vector<std::uint32_t> order(600);
  for (std::uint32_t i = 0; i < 600; ++i) order[i] = i;
  TrainRecipe recipe = builtin_recipe("normal");
  recipe.batch_size = 2;
  std::stop_source stop;
  EpochRequest request{data, recipe, order, 0, 1e-3, 300, 1, {}, stop.get_token()};
  std::uint64_t next = 0;
  request.on_step = [&](const StepReport& step) {
    EXPECT_EQ(step.step, next++);
    stop.request_stop();
  };
  const auto model = cuda->load(net);
  EXPECT_THROW(model->train_epoch(request), Interrupted);
  EXPECT_GT(next, 0u);
  EXPECT_LT(next, 300u);
  Network after = net;
  model->download(after);
  EXPECT_EQ(largest_difference(after, net), 0);
}

}  // namespace
}  // namespace smoothcert
