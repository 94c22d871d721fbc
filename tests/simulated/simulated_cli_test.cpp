// The whole program with --device cuda, on simulated GPUs.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli_support.hpp"
#include "data_support.hpp"
#include "places_support.hpp"
#include "simulated_support.hpp"

namespace smoothcert {
namespace {

using test::ScopedEnvironment;
using testing::HasSubstr;

class SimulatedCli : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "the program is not built";
    write_toy_study();
  }
};

const std::string kSettings = " --data data --sigma 0.5 --n0 20 --n 200 --alpha 0.01";

ScopedEnvironment machine(const std::string& text) {
  return ScopedEnvironment("SMOOTHCERT_SIMULATED", text);
}

TEST_F(SimulatedCli, ExactCertificatesAreTheCpusWhateverTheMachine) {
  ok("certify toy.safetensors --mode exact --device cpu --store cpu.sqlite" + kSettings);
  for (const char* text : {"gpus=1", "gpus=3 order=shuffled", "capability=8.0 seed=3"}) {
    const auto set = machine(text);
    ok("certify toy.safetensors --mode exact --device cuda --store gpu.sqlite" + kSettings);
    EXPECT_EQ(dump("gpu.sqlite"), dump("cpu.sqlite")) << text;
    remove("gpu.sqlite");
  }
}

TEST_F(SimulatedCli, ALostGpuLeavesAStoreThatGoesOn) {
  ok("certify toy.safetensors --mode exact --device cuda --store whole.sqlite" + kSettings);
  int partly = 0;
  for (const int call : {1, 20, 60, 100, 140, 200, 300}) {
    const auto set = machine("gpus=2 lost_at=" + std::to_string(call));
    const auto outcome =
        run("certify toy.safetensors --mode exact --device cuda --store lost.sqlite" + kSettings);
    if (outcome.code != 0) {
      EXPECT_EQ(outcome.code, 1) << outcome.err;
      EXPECT_THAT(outcome.err, HasSubstr("smoothcert: ")) << call;
      ++partly;
    }
    {
      const auto healthy = machine("order=shuffled");
      ok("certify toy.safetensors --mode exact --device cuda --store lost.sqlite" + kSettings);
    }
    EXPECT_EQ(dump("lost.sqlite"), dump("whole.sqlite")) << "lost at call " << call;
    remove("lost.sqlite");
  }
  EXPECT_GT(partly, 2);
}

// The search follows a GPU's gradients, the test counts a GPU's votes: of a linear model the points
// are the CPU's, and the votes at them are in exact mode.
TEST_F(SimulatedCli, DisproofsAreTheCpus) {
  ok("certify toy.safetensors --mode exact --device cpu --store cpu.sqlite --max 8" + kSettings);
  std::filesystem::copy_file(path("cpu.sqlite"), path("gpu.sqlite"));
  const std::string search =
      "disprove toy.safetensors --data data --noises 8 --steps 4 --bisections 3 --samples 400 "
      "--max 2 "
      "--json";
  using nlohmann::json;
  const json cpu = json::parse(ok(search + " --device cpu --store cpu.sqlite"));
  const auto set = machine("gpus=2 order=shuffled");
  const json gpu = json::parse(ok(search + " --device cuda --store gpu.sqlite"));
  const json &ours = gpu.at("runs").at(0), &theirs = cpu.at("runs").at(0);
  EXPECT_EQ(ours.at("tested"), theirs.at("tested"));
  EXPECT_GT(ours.at("confirmed"), 0);
  EXPECT_EQ(ours.at("confirmed"), theirs.at("confirmed"));
  for (std::size_t i = 0; i < ours.at("disproofs").size(); ++i) {
    const json &own = ours.at("disproofs").at(i), &their = theirs.at("disproofs").at(i);
    for (const char* member : {"idx", "rival", "votes_selected", "votes_rival", "distance"})
      EXPECT_EQ(own.at(member), their.at(member)) << member << " of image " << own.at("idx");
  }
}

TEST_F(SimulatedCli, TooLittleMemoryIsOneLine) {
  const auto set = machine("memory=1");
  const auto line =
      fails(1, "certify toy.safetensors --mode fast --device cuda --store gpu.sqlite" + kSettings);
  EXPECT_THAT(line, HasSubstr("out of memory"));
}

TEST_F(SimulatedCli, TrainsAttacksPredictsAndSaysOnWhat) {
  const std::string digits = " --device cuda --data digits --digits-size 24,6";
  ok("train normal --epochs 1 --out net.safetensors" + digits);
  EXPECT_THAT(ok("attack net.safetensors --max 4" + digits), HasSubstr("pgd-l2"));
  ok("predict net.safetensors --max 2 --n 100 --sigma 0.5" + digits);
  EXPECT_THAT(ok("info"), HasSubstr("CUDA device 0: Simulated GPU"));
}

TEST_F(SimulatedCli, BenchTimesTheFusedKernelsAndTheWayOfAnyNetwork) {
  const auto result = nlohmann::json::parse(
      ok("bench convnn --device cuda --noise lattice --attack none --seconds 0.001 --repeats 1 "
         "--json"));
  std::vector<std::string> paths;
  for (const auto& row : result.at("results")) {
    paths.push_back(row.at("path"));
    EXPECT_GT(row.at("median").get<double>(), 0);
  }
  EXPECT_THAT(paths, testing::ElementsAre("cuda exact fused", "cuda exact direct kernels",
                                          "cuda fused fp16 wgmma", HasSubstr("cuda library (")));
}

TEST_F(SimulatedCli, AutoWithoutADriverIsTheCpuAndSaysWhy) {
  const auto set = machine("driver=0");
  const auto outcome = run("certify toy.safetensors --store cpu.sqlite" + kSettings);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("no NVIDIA driver"));
  EXPECT_THAT(fails(1, "certify toy.safetensors --device cuda --store gpu.sqlite" + kSettings),
              HasSubstr("--device cuda: no NVIDIA driver"));
}

}  // namespace
}  // namespace smoothcert
