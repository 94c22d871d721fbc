// Every row of the table of layers through the GPU's training kernels in the emulator, against the
// CPU's training, which is itself held to central differences: logits, input gradients, one step.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "cpu/training.hpp"
#include "cuda/train/trainer.hpp"
#include "emulated_device.hpp"
#include "kernel_support.hpp"
#include "layer_cases.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::EmulatedDevice;
using simt_test::Shape;

constexpr std::size_t kImages = 5;

void expect_near(const std::vector<float>& got, const std::vector<float>& want, double bound,
                 const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  double largest = 0.05;  // a bias before BatchNorm has no gradient but for rounding
  for (const float v : want) largest = std::max(largest, std::fabs(double{v}));
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_LE(std::fabs(double{got[i]} - double{want[i]}), bound * largest) << what << " " << i;
}

Dataset images_of(const NetworkSpec& spec) {
  Dataset data;
  data.name = "case";
  data.shape = spec.input;
  data.classes = spec.classes;
  data.pixels = simt_test::random_bytes(kImages * spec.input.size(), 3);
  for (std::size_t i = 0; i < kImages; ++i) data.labels.push_back(static_cast<Label>(i % 5));
  data.sha256 = "case";
  return data;
}

/// One step of SGD at rate 1: each parameter moves by minus its gradient.
TrainRecipe plain_step() {
  TrainRecipe recipe;
  recipe.batch_size = static_cast<int>(kImages);
  recipe.optimizer.kind = OptimizerSpec::Kind::sgd;
  recipe.optimizer.learning_rate = 1;
  return recipe;
}

void expect_the_cpus_gradients(const Network& net) {
  const Dataset data = images_of(net.spec);
  std::vector<float> x;
  for (const std::uint8_t v : data.pixels) x.push_back(static_cast<float>(v) * (1.0f / 255.0f));
  ThreadPool pool(1);
  Trainer trainer(std::make_unique<EmulatedDevice>(), net.spec);
  trainer.load(net);
  std::vector<float> gradient(x.size()), logits(kImages * 5), here = gradient, scores = logits;
  trainer.input_gradient(x, data.labels, LossKind::cross_entropy, gradient, logits);
  cpu::input_gradient(net, pool, x, data.labels, LossKind::cross_entropy, here, scores);
  expect_near(logits, scores, 1e-5, "logit");
  expect_near(gradient, here, 1e-5, "input gradient");

  const TrainRecipe recipe = plain_step();
  std::vector<std::uint32_t> order(kImages);
  std::iota(order.begin(), order.end(), 0u);
  const EpochRequest request{.data = data,
                             .recipe = recipe,
                             .order = order,
                             .epoch = 0,
                             .learning_rate = 1,
                             .total_steps = 1,
                             .seed = 7,
                             .on_step = {},
                             .stop = {}};
  Network on_gpu = net, on_cpu = net;
  OptimizerState gpu_state, cpu_state;
  trainer.train_epoch(request, gpu_state);
  trainer.store(on_gpu);
  cpu::train_epoch(on_cpu, cpu_state, pool, request);
  for (const TensorSlot& slot : tensor_slots(net.spec)) {
    std::vector<float> got = on_gpu.tensors.at(slot.name).data;
    std::vector<float> want = on_cpu.tensors.at(slot.name).data;
    const std::vector<float>& start = net.tensors.at(slot.name).data;
    for (std::size_t i = 0; i < got.size(); ++i) {
      got[i] -= start[i];
      want[i] -= start[i];
    }
    expect_near(got, want, 2e-5, slot.name);
  }
}

TEST(LayerGradients, OfEveryCaseAreTheCpus) {
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    simt_test::use(simt_test::shapes()[1]);
    expect_the_cpus_gradients(formula_network(case_network(c)));
  }
}

/// Values that several layers read, so that gradients add up where they meet.
TEST(LayerGradients, AddUpWhereSeveralLayersReadAValue) {
  const LayerCase all{
      "shared",
      {4, 6, 6},
      R"([{"op":"conv2d","name":"a","out_channels":4,"kernel":3,"padding":1,"groups":2},
          {"op":"silu","name":"s","inputs":["a"]},
          {"op":"groupnorm","name":"g","groups":2,"inputs":["a"]},
          {"op":"prelu","name":"p","slopes":4,"inputs":["a"]},
          {"op":"softmax","name":"m","inputs":["a"]},
          {"op":"relu","name":"r"},
          {"op":"avgpool","name":"v","kernel":3,"stride":1,"padding":1,"inputs":["a"]},
          {"op":"maxpool","name":"x","kernel":3,"stride":1,"padding":1,"dilation":1,"ceil_mode":true,"inputs":["a"]},
          {"op":"mul","name":"u","inputs":["a","s"]},
          {"op":"sub","name":"d","inputs":["a","g"]},
          {"op":"mul","name":"q","inputs":["a","a"]},
          {"op":"concat","name":"k","inputs":["a","r","v","a","x","u","d","p","q"]},
          {"op":"conv2d","name":"w","out_channels":6,"kernel":3,"dilation":2,"padding":2},
          {"op":"reshape","shape":[3,12,6]},
          {"op":"relu6","name":"t"},
          {"op":"maxpool","kernel":2}])",
      0};
  simt_test::use(simt_test::shapes()[0]);
  expect_the_cpus_gradients(formula_network(case_network(all)));
}

}  // namespace
}  // namespace smoothcert::gpu
