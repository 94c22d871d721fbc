// Training through streams, captured graphs and the libraries: the same bits in any order of the
// device's work, and no wait of the host within an epoch's pieces.
#include <cmath>
#include <cstdlib>

#include "cuda/train/trainer.hpp"
#include "queue.hpp"
#include "simulated_support.hpp"
#include "smoothcert/train.hpp"

namespace smoothcert {
namespace {

using namespace simulated_test;
using simulated::Machine;
using simulated::Order;

class SimulatedTraining : public SimulatedTest {
 protected:
  void SetUp() override {
    SimulatedTest::SetUp();
    start = initialise(builtin_network("convnn"), 3);
    data = gpu_test::random_data(start.spec, 40, 4);
  }
  void TearDown() override {
    unsetenv("SMOOTHCERT_GPU_ENGINE");
    SimulatedTest::TearDown();
  }

  struct Trained {
    Network net;
    OptimizerState optimizer;
    EpochReport report;
    simulated::Tally tally;
  };
  Trained train(const Machine& machine, const TrainRecipe& recipe, std::size_t visits,
                int epochs = 1) {
    simulated::set_machine(machine);
    Trained t{start, {}, {}, {}};
    {
      const auto model = make_cuda_backend(nullptr)->load(start);
      for (int e = 0; e < epochs; ++e) {
        std::vector<std::uint32_t> order;
        for (std::size_t i = 0; i < visits; ++i)
          order.push_back(static_cast<std::uint32_t>((i * 7 + 3) % data.size()));
        t.report = model->train_epoch({data, recipe, order, e, 1e-3, 1000, 1, {}, {}});
      }
      t.tally = simulated::tally();
      model->download(t.net);
      model->download(t.optimizer);
    }
    expect_nothing_left("after training");
    return t;
  }
  Network start;
  Dataset data;
};

void expect_same(const Network& a, const Network& b, const std::string& what) {
  for (const auto& [name, tensor] : a.tensors) {
    EXPECT_EQ(tensor.data, b.tensors.at(name).data) << what << ", " << name;
  }
}

TEST_F(SimulatedTraining, GivesTheSameBitsInAnyOrder) {
  for (const char* engine : {"library", "direct"}) {
    setenv("SMOOTHCERT_GPU_ENGINE", engine, 1);
    for (const char* name : {"normal", "adversarial", "smoothing", "mnist-split"}) {
      TrainRecipe recipe = builtin_recipe(name);
      recipe.batch_size = 4;
      Machine machine;
      machine.order = Order::at_once;
      const Trained expected = train(machine, recipe, 14);
      for (const Order order : {Order::at_last, Order::shuffled}) {
        machine.order = order;
        const Trained got = train(machine, recipe, 14);
        const std::string what = std::string(engine) + " " + name;
        expect_same(got.net, expected.net, what);
        EXPECT_EQ(got.report.step_loss, expected.report.step_loss) << what;
        EXPECT_EQ(got.report.step_accuracy, expected.report.step_accuracy) << what;
        for (const float loss : got.report.step_loss) EXPECT_TRUE(std::isfinite(loss));
      }
    }
  }
}

TEST_F(SimulatedTraining, AnEpochIsGraphLaunchesAndTheHostWaitsOncePerPiece) {
  TrainRecipe recipe = builtin_recipe("normal");
  recipe.batch_size = 1;
  constexpr std::size_t kPiece = gpu::Trainer::kPiece;
  const Trained one = train({}, recipe, kPiece), three = train({}, recipe, 3 * kPiece);
  // The first step runs as it is issued, the second is captured, and every one but the first is
  // a launch of the graph.
  EXPECT_EQ(one.tally.captures, 1u);
  EXPECT_EQ(one.tally.graph_launches, kPiece - 1);
  EXPECT_EQ(three.tally.captures, 1u);
  EXPECT_EQ(three.tally.graph_launches, 3 * kPiece - 1);
  // A piece: wait for its event, fetch losses and accuracies beside the running stream.
  EXPECT_EQ(three.tally.waits - one.tally.waits, 2u * 3u);
  // A short last batch is a graph of its own.
  recipe.batch_size = 3;
  EXPECT_EQ(train({}, recipe, 14, 3).tally.captures, 2u);
}

// A step of so small a network takes as long as its kernels take to start, one after another.
TEST_F(SimulatedTraining, AStepIsFewKernels) {
  struct Case {
    const char *network, *recipe;
    std::uint64_t kernels, products;
  };
  for (const Case& c : {Case{"convnn", "normal", 17, 8}, Case{"convnn", "smoothing", 17, 8},
                        Case{"convnn", "adversarial", 30, 14}, Case{"lenet", "normal", 16, 11}}) {
    start = initialise(builtin_network(c.network), 3);
    data = gpu_test::random_data(start.spec, 16, 4);
    TrainRecipe recipe = builtin_recipe(c.recipe);
    recipe.batch_size = 16;  // enough for the sums of conv1 to be cut into slices
    const auto one = train({}, recipe, 16).tally, three = train({}, recipe, 48).tally;
    EXPECT_EQ(three.launches - one.launches, 2 * c.kernels) << c.network << " " << c.recipe;
    EXPECT_EQ(three.products - one.products, 2 * c.products) << c.network << " " << c.recipe;
  }
}

TEST_F(SimulatedTraining, SeveralEpochsReuseTheGraph) {
  TrainRecipe recipe = builtin_recipe("normal");
  recipe.batch_size = 4;
  const Trained one = train({}, recipe, 12), four = train({}, recipe, 12, 4);
  EXPECT_EQ(one.tally.captures, 1u);
  EXPECT_EQ(four.tally.captures, 1u);
  EXPECT_EQ(four.tally.graph_launches, 4 * 3u - 1);
  EXPECT_EQ(four.tally.allocations, one.tally.allocations);
}

TEST_F(SimulatedTraining, EpochsOfOtherLengthsForgetTheGraph) {
  TrainRecipe recipe = builtin_recipe("normal");
  recipe.batch_size = 4;
  const auto run = [&](Order when) {
    Machine machine;
    machine.order = when;
    simulated::set_machine(machine);
    Network net = start;
    {
      const auto model = make_cuda_backend(nullptr)->load(start);
      for (const std::size_t visits : {8, 12, 20, 8}) {
        std::vector<std::uint32_t> order(visits);
        for (std::size_t i = 0; i < visits; ++i) order[i] = static_cast<std::uint32_t>(i);
        model->train_epoch({data, recipe, order, 0, 1e-3, 1000, 1, {}, {}});
      }
      model->download(net);
    }
    expect_nothing_left("after four epochs");
    return net;
  };
  expect_same(run(Order::at_last), run(Order::at_once), "epochs of other lengths");
}

TEST_F(SimulatedTraining, AnotherMemoryLayoutForgetsTheGraph) {
  // A graph holds addresses: gradients of more images than a training batch move the memory.
  TrainRecipe recipe = builtin_recipe("normal");
  recipe.batch_size = 4;
  std::vector<std::uint32_t> order{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const auto run = [&](Order when, bool between) {
    Machine machine;
    machine.order = when;
    simulated::set_machine(machine);
    Network net = start;
    {
      const auto model = make_cuda_backend(nullptr)->load(start);
      model->train_epoch({data, recipe, order, 0, 1e-3, 1000, 1, {}, {}});
      if (between) {
        const auto x = gpu_test::floats_of(data);
        std::vector<float> gradient(x.size());
        model->input_gradient(x, data.labels, LossKind::cross_entropy, gradient, {});
      }
      model->train_epoch({data, recipe, order, 1, 1e-3, 1000, 1, {}, {}});
      model->download(net);
    }
    expect_nothing_left("after two epochs");
    return net;
  };
  expect_same(run(Order::at_last, true), run(Order::at_once, false), "gradients between epochs");
}

TEST_F(SimulatedTraining, ConvolutionsAreTheDeterministicFp32Ones) {
  TrainRecipe recipe = builtin_recipe("normal");
  recipe.batch_size = 4;
  Network net = start;
  net.record.backend = "cuda";
  const auto model = make_cuda_backend(nullptr)->load(net);
  const std::vector<std::uint32_t> order{1, 2, 3, 4};
  model->train_epoch({data, recipe, order, 0, 1e-3, 1000, 1, {}, {}});
  model->download(net);
  EXPECT_THAT(net.record.backend, testing::HasSubstr("fp32"));
  EXPECT_THAT(net.record.backend, testing::HasSubstr("forward 1, data 1, filter 1"));
  EXPECT_GT(simulated::tally().products, 0u);
}

// What cuDNN's heuristics list it may refuse to run: the next one is taken, at last our own
// kernels.
TEST_F(SimulatedTraining, RefusedAlgorithmsHaveSuccessors) {
  const Network net = initialise(builtin_network("convnn"), 1);
  const Dataset data = gpu_test::random_data(net.spec, 8, 1);
  const auto gradient = [&](std::size_t refused) {
    simulated::Machine machine;
    machine.refused_algorithms = refused;
    simulated::set_machine(machine);
    const auto model = make_cuda_backend(nullptr)->load(net);
    std::vector<float> x(data.pixels.begin(), data.pixels.end()), result(x.size()), logits(8 * 10);
    for (float& v : x) v /= 255;
    model->input_gradient(x, data.labels, LossKind::cross_entropy, result, logits);
    EXPECT_THAT(simulated::complaints(), testing::IsEmpty());
    EXPECT_EQ(simulated::refused_so_far().empty(), refused == 0);
    return result;
  };
  const auto all = gradient(0);
  double largest = 0;
  for (const float v : all) largest = std::max(largest, std::fabs(static_cast<double>(v)));
  for (const std::size_t refused : {1, 2, 100}) {
    const auto with = gradient(refused);
    for (std::size_t i = 0; i < all.size(); ++i)
      ASSERT_NEAR(with[i], all[i], 1e-4 * largest) << refused << " refused, value " << i;
  }
  simulated::set_machine({});
}

}  // namespace
}  // namespace smoothcert
