// Votes do not depend on when a GPU does its work, nor on how many GPUs share it.
#include "simulated_support.hpp"
#include "smoothcert/error.hpp"
#include "tensor_core_model.hpp"

namespace smoothcert {
namespace {

using namespace simulated_test;
using simulated::Order;

class SimulatedVotes : public SimulatedTest, public testing::WithParamInterface<Path> {};

TEST_P(SimulatedVotes, AreTheSameInAnyOrderOnAnyNumberOfGpus) {
  const Path& path = GetParam();
  const Workload workload(path);
  simulated::set_machine(machine_of(path, 1, Order::at_once));
  EXPECT_THAT(make_cuda_backend(nullptr)->load(workload.net)->describe_votes(workload.settings),
              testing::HasSubstr(path.kernel));
  const auto expected = workload.count();
  for (std::size_t j = 0; j < expected.size(); ++j) {
    std::uint64_t sum = expected[j].invalid;
    for (const auto c : expected[j].counts) sum += c;
    EXPECT_EQ(sum, workload.jobs[j].last - workload.jobs[j].first);
  }
  VoteSettings exact = workload.settings;
  exact.mode = Mode::exact;
  const auto on_cpu =
      gpu_test::votes(*make_cpu_backend(1)->load(workload.net), exact, workload.jobs);
  if (path.mode == Mode::exact) {
    expect_equal(expected, on_cpu, "the CPU");
  } else {
    std::uint64_t differ = 0, total = 0;
    for (std::size_t j = 0; j < expected.size(); ++j) {
      for (std::size_t c = 0; c < expected[j].counts.size(); ++c) {
        const std::uint64_t a = expected[j].counts[c], b = on_cpu[j].counts[c];
        differ += a > b ? a - b : b - a;
        total += b;
      }
    }
    // An untrained network's classes lie close together: a trained one agrees on more.
    EXPECT_LE(differ, total / 20);
  }
  struct Case {
    std::size_t gpus;
    Order order;
    std::uint64_t seed;
  };
  for (const Case& c : {Case{1, Order::at_last, 1}, Case{1, Order::shuffled, 2},
                        Case{3, Order::at_last, 3}, Case{3, Order::shuffled, 4}}) {
    simulated::set_machine(machine_of(path, c.gpus, c.order, c.seed));
    expect_equal(
        workload.count(), expected,
        std::to_string(c.gpus) + " GPUs, order " + std::to_string(static_cast<int>(c.order)));
    for (const auto arrays : simulated::tally().arrays_of) {
      EXPECT_GT(arrays, 10u) << "every GPU makes ready for its share";
    }
    expect_nothing_left("after a run");
  }
}

INSTANTIATE_TEST_SUITE_P(Paths, SimulatedVotes, testing::ValuesIn(paths()),
                         [](const auto& info) { return info.param.name; });

// A run counts in windows of a second or two: only the first makes devices ready.
TEST_P(SimulatedVotes, TheNextWindowFindsItsDevicesReady) {
  const Path& path = GetParam();
  const Workload workload(path);
  simulated::set_machine(machine_of(path, 2, Order::at_last));
  const auto model = make_cuda_backend(nullptr)->load(workload.net);
  const auto first = gpu_test::votes(*model, workload.settings, workload.jobs);
  const simulated::Tally ready = simulated::tally();
  expect_equal(gpu_test::votes(*model, workload.settings, workload.jobs), first, "the next window");
  const simulated::Tally next = simulated::tally();
  EXPECT_EQ(next.allocations, ready.allocations);
  EXPECT_EQ(next.handles, ready.handles);
  EXPECT_GT(next.launches, ready.launches);
  // Other settings are other devices, and the old ones' memory is given back.
  VoteSettings other = workload.settings;
  other.noise.seed += 1;
  (void)gpu_test::votes(*model, other, workload.jobs);
  EXPECT_EQ(simulated::tally().memory_in_use, next.memory_in_use);
  // Other weights are other votes.
  model->upload(initialise(builtin_network(path.network), 77));
  const auto changed = gpu_test::votes(*model, workload.settings, workload.jobs);
  bool differ = false;
  for (std::size_t j = 0; j < first.size(); ++j) differ |= first[j].counts != changed[j].counts;
  EXPECT_TRUE(differ);
}

class SimulatedGpus : public SimulatedTest {};

TEST_F(SimulatedGpus, AreWhatInfoListsAndAutoChooses) {
  simulated::set_machine(machine_of(paths()[0], 2, Order::at_last));
  const auto lines = describe_cuda();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[1], testing::HasSubstr("CUDA device 0: Simulated GPU, compute 9.0, 1 GiB"));
  EXPECT_THAT(lines[2], testing::HasSubstr("CUDA device 1: "));
  std::string note;
  EXPECT_EQ(make_backend("auto", 1, &note)->name(), "cuda");
  EXPECT_THAT(note, testing::HasSubstr("2 GPUs"));
}

// The pixels of the fused kernels are halves below the normal range: a GPU that takes those for 0
// would count the votes of a black image.
TEST_P(SimulatedVotes, AGpuThatFlushesSubnormalHalvesIsNoticed) {
  const Path& path = GetParam();
  const Workload workload(path);
  simulated::set_machine(machine_of(path, 1, Order::at_last));
  const bool fused_halves =
      path.mode == Mode::fast && path.kernel.find("library") == std::string::npos;
  simt::flush_subnormals(true);
  std::string error;
  try {
    workload.count();
  } catch (const Error& thrown) {
    error = thrown.what();
  }
  simt::flush_subnormals(false);
  if (fused_halves)
    EXPECT_THAT(error, testing::AllOf(testing::HasSubstr("the self-test of GPU 0 failed"),
                                      testing::HasSubstr("0 of 64 samples"),
                                      testing::HasSubstr("--mode exact")));
  else
    EXPECT_EQ(error, "");
}

// A display's GPU beside two that compute neither fails a run nor mixes its kernel's counts with
// theirs.
TEST_F(SimulatedGpus, UnlikeOnesAreLeftOutAndNamed) {
  const Workload workload(paths().front());
  const auto expected = workload.count();
  simulated::Machine machine = machine_of(paths().front(), 4, Order::at_last);
  machine.gpus[0].name = "Old One";
  machine.gpus[0].major = 6;
  machine.gpus[2].name = "Display One";
  machine.gpus[2].major = 8;
  machine.gpus[2].minor = 6;
  simulated::set_machine(machine);
  expect_equal(workload.count(), expected, "two of four GPUs");
  const auto arrays = simulated::tally().arrays_of;
  EXPECT_EQ(arrays[0], 0u);
  EXPECT_GT(arrays[1], 0u);
  EXPECT_EQ(arrays[2], 0u);
  EXPECT_GT(arrays[3], 0u);
  const std::string described = make_cuda_backend(nullptr)->describe();
  EXPECT_THAT(described, testing::HasSubstr("2 GPUs"));
  EXPECT_THAT(described,
              testing::HasSubstr("left out: device 0 (Old One, compute 6.0: older than 8.0)"));
  EXPECT_THAT(described, testing::HasSubstr("device 2 (Display One, compute 8.6: unlike"));
  machine.gpus = {machine.gpus[0]};
  simulated::set_machine(machine);
  std::string why;
  EXPECT_EQ(make_cuda_backend(&why), nullptr);
  EXPECT_THAT(why, testing::HasSubstr("older than compute capability 8.0"));
  simulated::set_machine({});
}

TEST_F(SimulatedGpus, WithoutDriverOrDeviceOrNewEnoughOneTheCpuIsChosenAndSaysWhy) {
  simulated::Machine none;
  none.gpus.clear();
  simulated::Machine driverless;
  driverless.driver = false;
  simulated::Machine old;
  old.gpus[0].major = 7;
  old.gpus[0].minor = 5;
  const std::pair<simulated::Machine, std::string> cases[] = {
      {none, "no CUDA device"},
      {driverless, "no NVIDIA driver"},
      {old, "older than compute capability 8.0"}};
  for (const auto& [machine, reason] : cases) {
    simulated::set_machine(machine);
    std::string note;
    EXPECT_EQ(make_backend("auto", 1, &note)->name(), "cpu");
    EXPECT_THAT(note, testing::HasSubstr(reason));
    EXPECT_THROW(make_backend("cuda", 1, nullptr), Error);
    EXPECT_THAT(describe_cuda().back(), testing::HasSubstr(reason));
  }
  simulated::set_machine({});
}

}  // namespace
}  // namespace smoothcert
