// A GPU that runs out of memory, or is lost, at any call whatever: an error that says which call,
// or the right result; nothing leaks, nothing hangs.
#include <cstdlib>

#include "simulated_support.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using namespace simulated_test;
using simulated::Machine;
using simulated::Order;

/// Places to fail at, first to last: all of the first, then ever fewer.
std::vector<std::uint64_t> places(std::uint64_t last) {
  std::vector<std::uint64_t> all;
  for (std::uint64_t n = 1; n <= last; n += 1 + n / 24) all.push_back(n);
  if (!all.empty()) all.push_back(last);
  return all;
}

/// The error of `action`; empty where there was none.
template <class Action>
std::string failure_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const auto kNamesTheCall =
    testing::ContainsRegex("(CUDA|cuDNN|cuBLAS): .*[a-z_]+\\.(cpp|hpp|cu):[0-9]+");

class SimulatedVoteFaults : public SimulatedTest, public testing::WithParamInterface<Path> {
 protected:
  void SetUp() override {
    SimulatedTest::SetUp();
    Path path = GetParam();
    path.samples = path.samples / 4 + 2;
    workload = std::make_unique<Workload>(path);
    workload->jobs.resize(2);
    simulated::set_machine(machine_of(path, 1, Order::at_last));
    expected = workload->count();
    healthy = simulated::tally();
  }
  std::unique_ptr<Workload> workload;
  std::vector<VoteResult> expected;
  simulated::Tally healthy;
};

TEST_P(SimulatedVoteFaults, OutOfMemoryAtAnyAllocation) {
  ASSERT_GT(healthy.allocations, 5u);
  int helped = 0;
  testing::internal::CaptureStderr();
  for (const auto n : places(healthy.allocations)) {
    Machine machine = machine_of(GetParam(), 1, Order::shuffled, n);
    machine.no_memory_at = n;
    simulated::set_machine(machine);
    std::vector<VoteResult> got;
    const std::string error = failure_of([&] { got = workload->count(); });
    if (error.empty()) {
      expect_equal(got, expected, "allocation " + std::to_string(n));
      ++helped;
    } else {
      EXPECT_THAT(error, kNamesTheCall);
      EXPECT_THAT(error, testing::AnyOf(testing::HasSubstr("out of memory"),
                                        testing::HasSubstr("ALLOC_FAILED"),
                                        testing::HasSubstr("DEVICE_ALLOCATION_FAILED")));
    }
    expect_nothing_left("after allocation " + std::to_string(n) + " failed");
  }
  const std::string notes = testing::internal::GetCapturedStderr();
  // Exact mode asks for less and says so; fast mode's batch is part of what the classifier is.
  if (GetParam().name == "DirectExact") {
    EXPECT_GT(helped, 0);
    EXPECT_THAT(notes, testing::HasSubstr("batch halved to"));
  }
}

TEST_P(SimulatedVoteFaults, GpuLostAtAnyCall) {
  for (const auto n : places(healthy.calls)) {
    Machine machine = machine_of(GetParam(), 2, Order::shuffled, n);
    machine.lost_at = n;
    simulated::set_machine(machine);
    const std::string error = failure_of([&] { workload->count(); });
    // Lost in the last calls, which give things back, it may have done all its work.
    if (!error.empty() && n > 2) {
      EXPECT_THAT(error, kNamesTheCall) << n;
    }
    if (n < healthy.calls / 2) {
      EXPECT_NE(error, "") << "lost at call " << n;
    }
    expect_nothing_left("after the GPU was lost at call " + std::to_string(n));
  }
}

INSTANTIATE_TEST_SUITE_P(Paths, SimulatedVoteFaults, testing::ValuesIn(paths()),
                         [](const auto& info) { return info.param.name; });

class SimulatedTrainingFaults : public SimulatedTest,
                                public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    SimulatedTest::SetUp();
    setenv("SMOOTHCERT_GPU_ENGINE", GetParam(), 1);
    start = initialise(builtin_network("convnn"), 3);
    data = gpu_test::random_data(start.spec, 6, 4);
    recipe = builtin_recipe("adversarial");
    recipe.batch_size = 2;
  }
  void TearDown() override {
    unsetenv("SMOOTHCERT_GPU_ENGINE");
    SimulatedTest::TearDown();
  }

  /// An epoch of three steps and the gradients of three images, on the model given.
  std::vector<float> work(BackendModel& model) const {
    const std::vector<std::uint32_t> order{0, 3, 2, 1, 5, 4};
    model.train_epoch({data, recipe, order, 0, 1e-3, 10, 1, {}, {}});
    const auto x = gpu_test::floats_of(data);
    std::vector<float> gradient(x.size()), logits(6 * 10);
    model.input_gradient(x, data.labels, LossKind::cross_entropy, gradient, logits);
    return gradient;
  }
  Network start;
  Dataset data;
  TrainRecipe recipe;
};

TEST_P(SimulatedTrainingFaults, AFailedEpochLeavesTheModelAsItWasAndASecondTryGoesThrough) {
  const auto run = [&](const Machine& machine, Network& after, std::string& error) {
    simulated::set_machine(machine);
    std::unique_ptr<Backend> backend;
    error = failure_of([&] { backend = make_cuda_backend(nullptr); });
    if (!backend) {  // lost before it was found
      if (error.empty()) error = "no backend";
      return;
    }
    const auto model = backend->load(start);
    error = failure_of([&] { work(*model); });
    after = start;
    model->download(after);
  };
  Network trained;
  std::string error;
  run({}, trained, error);
  ASSERT_EQ(error, "");
  ASSERT_NE(trained.tensors.at("conv1.weight").data, start.tensors.at("conv1.weight").data);
  const simulated::Tally healthy = simulated::tally();
  const auto whole = [&](const Network& net) {  // before the epoch or after it, never in between
    const auto& now = net.tensors.at("conv1.weight").data;
    return now == start.tensors.at("conv1.weight").data ||
           now == trained.tensors.at("conv1.weight").data;
  };
  testing::internal::CaptureStderr();
  for (const auto n : places(healthy.allocations)) {
    Machine machine;
    machine.no_memory_at = n;
    machine.order = Order::shuffled;
    Network after = start;
    run(machine, after, error);
    EXPECT_TRUE(whole(after)) << "allocation " << n;
    if (!error.empty()) {
      EXPECT_THAT(error, kNamesTheCall);
    }
    expect_nothing_left("after allocation " + std::to_string(n) + " failed");
  }
  for (const auto n : places(healthy.calls)) {
    Machine machine;
    machine.lost_at = n;
    Network after = start;
    run(machine, after, error);
    EXPECT_TRUE(whole(after)) << "call " << n;
    if (n < healthy.calls / 2) {
      EXPECT_NE(error, "") << "lost at call " << n;
    }
    expect_nothing_left("after the GPU was lost at call " + std::to_string(n));
  }
  // Memory that was short comes back: the same model goes on, from where it was, even where some
  // steps had run on the GPU.
  int goes_on = 0;
  for (const auto n : places(healthy.allocations)) {
    Machine machine;
    machine.no_memory_at = n;
    simulated::set_machine(machine);
    {
      const auto model = make_cuda_backend(nullptr)->load(start);
      if (failure_of([&] { work(*model); }).empty()) continue;
      Network kept = start;
      model->download(kept);
      if (kept.tensors.at("conv1.weight").data != start.tensors.at("conv1.weight").data) continue;
      ++goes_on;
      work(*model);
      Network after = start;
      model->download(after);
      EXPECT_EQ(after.tensors.at("conv1.weight").data, trained.tensors.at("conv1.weight").data)
          << n;
    }
    expect_nothing_left("after a second try");
  }
  testing::internal::GetCapturedStderr();
  EXPECT_GT(goes_on, 10);
}

INSTANTIATE_TEST_SUITE_P(Engines, SimulatedTrainingFaults, testing::Values("library", "direct"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace smoothcert
