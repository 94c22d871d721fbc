// Simulated machines of the tests.
#include "simulated_support.hpp"

#include "smoothcert/error.hpp"

namespace smoothcert::simulated_test {
namespace {

/// The tests of tests/gpu run on the machine, too; they know nothing of complaints.
class Strict final : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override { simulated::set_machine({}); }
  void OnTestEnd(const ::testing::TestInfo& test) override {
    simulated::set_machine({});  // says what was left alive
    const auto complaints = simulated::complaints();
    EXPECT_THAT(complaints, testing::IsEmpty()) << test.name();
  }
};

[[maybe_unused]] const bool listening = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new Strict);
  return true;
}();

}  // namespace

simulated::Gpu Path::gpu() const {
  simulated::Gpu gpu;
  gpu.major = major;
  gpu.minor = minor;
  gpu.shared_per_block = shared;
  return gpu;
}

const std::vector<Path>& paths() {
  static const std::vector<Path> all{
      {"FusedExact", "convnn", Mode::exact, 9, 0, "exact fused", 40},
      // No sample's values fit so little shared memory.
      {"DirectExact", "convnn", Mode::exact, 9, 0, "exact direct", 20, 1024},
      {"FusedWgmma", "convnn", Mode::fast, 9, 0, "wgmma", 200},
      {"FusedMmaWide", "convnn", Mode::fast, 8, 0, "fused fp16 mma", 100, 166912},
      {"FusedMmaNarrow", "convnn", Mode::fast, 8, 6, "fused fp16 mma", 100, 101376},
      {"FeaturesWide", "lenet", Mode::fast, 9, 0, "features", 40},
      {"Features", "lenet", Mode::fast, 8, 0, "features", 40, 166912},
      {"LibraryConvolutions", "lenet", Mode::fast, 8, 6, "library", 20, 101376},
      {"LibraryLinear", "mlp", Mode::fast, 9, 0, "library", 70}};
  return all;
}

simulated::Machine machine_of(const Path& path, std::size_t gpus, simulated::Order order,
                              std::uint64_t seed) {
  simulated::Machine machine;
  machine.gpus.assign(gpus, path.gpu());
  machine.order = order;
  machine.seed = seed;
  return machine;
}

Workload::Workload(const Path& path) {
  net = initialise(builtin_network(path.network), 5);
  data = gpu_test::random_data(net.spec, 3, 1);
  settings.mode = path.mode;
  settings.noise.sigma = 0.5;
  settings.noise.seed = 7;
  settings.noise.table = make_lattice_table(0.5, net.spec.input.size());
  for (std::uint32_t i = 0; i < 3; ++i) {
    jobs.push_back({i, data.image(i).data(), Purpose::select, 0, path.samples / 2});
    jobs.push_back({i, data.image(i).data(), Purpose::estimate, 0, path.samples + i});
  }
}

std::vector<VoteResult> Workload::count() const {
  std::string why;
  const auto backend = make_cuda_backend(&why);
  if (!backend) throw Error(why);
  return gpu_test::votes(*backend->load(net), settings, jobs);
}

void SimulatedTest::expect_nothing_left(const std::string& when) {
  const simulated::Tally t = simulated::tally();
  EXPECT_EQ(t.memory_in_use, 0u) << when;
  EXPECT_EQ(t.handles, 0u) << when;
  EXPECT_THAT(simulated::complaints(), testing::IsEmpty()) << when;
}

}  // namespace smoothcert::simulated_test
