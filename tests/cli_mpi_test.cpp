// One sweep on several ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli_support.hpp"
#include "data_support.hpp"
#include "places_support.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<std::string> mpirun(int ranks) {
  return {"mpirun", "--oversubscribe",    "--allow-run-as-root", "--bind-to", "none",
          "-n",     std::to_string(ranks)};
}

class CliMpi : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "LeakSanitizer counts what OpenMPI itself never frees";
#endif
    if (json::parse(ok("info --json --device cpu")).at("mpi") == "none in this build")
      GTEST_SKIP() << "built without MPI (libopenmpi-dev)";
    if (std::system("mpirun --version > /dev/null 2>&1") != 0)
      GTEST_SKIP() << "there is no mpirun (openmpi-bin)";
    write_toy_study();
  }
  std::vector<std::string> sweep(const std::string& name, int n) const {
    test::write_text(path(name + ".json"), json{{"store", name + ".sqlite"},
                                                {"data", "data"},
                                                {"models", {"toy.safetensors"}},
                                                {"sigma", {0.25, 0.5}},
                                                {"n0", 50},
                                                {"n", n},
                                                {"alpha", {0.01, 0.001}},
                                                {"subset", {{"skip", 2}}}}
                                               .dump());
    return {"sweep", name + ".json", "--threads", "1"};
  }
  test::Outcome on_ranks(int ranks, const std::vector<std::string>& command) const {
    return test::RunningProgram(path(), command, 0, mpirun(ranks)).wait();
  }
};

TEST_F(CliMpi, AnyNumberOfRanksGivesTheSameStore) {
  ASSERT_EQ(run(sweep("alone", 20'000)).code, 0);
  for (const int ranks : {1, 2, 4}) {
    const std::string name = "ranks" + std::to_string(ranks);
    const auto outcome = on_ranks(ranks, sweep(name, 20'000));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(dump(name + ".sqlite"), dump("alone.sqlite")) << ranks << " ranks";
    if (ranks > 1) {
      EXPECT_THAT(outcome.err, HasSubstr(std::to_string(ranks) + " ranks, rank 0 on"));
    }
    EXPECT_EQ(outcome.err.find("expected time"), outcome.err.rfind("expected time"))
        << "one rank speaks";
  }
}

// The children of mpirun, by its id.
std::vector<pid_t> ranks_of(pid_t launcher) {
  std::ifstream in("/proc/" + std::to_string(launcher) + "/task/" + std::to_string(launcher) +
                   "/children");
  std::vector<pid_t> ids;
  for (pid_t id = 0; in >> id;) ids.push_back(id);
  return ids;
}

TEST_F(CliMpi, ALostRankLosesNothingThatWasStored) {
  const auto whole = sweep("whole", 300'000);
  ASSERT_EQ(on_ranks(2, whole).code, 0);
  const auto command = sweep("lost", 300'000);
  bool lost = false;
  for (int attempt = 0; !lost && attempt < 20; ++attempt) {
    test::RunningProgram program(path(), command, 0, mpirun(2));
    program.runs_until([&] { return stored("lost.sqlite") > 0; });
    const auto ranks = ranks_of(program.id());
    if (ranks.size() == 2) kill(ranks[1], SIGKILL);
    lost = program.wait().code != 0;
    if (!lost) remove("lost.sqlite");  // too late: begin again
  }
  ASSERT_TRUE(lost);
  ASSERT_EQ(on_ranks(2, command).code, 0);
  EXPECT_EQ(dump("lost.sqlite"), dump("whole.sqlite"));
}

TEST_F(CliMpi, AMistakeEndsAllRanks) {
  auto command = sweep("bad", 20'000);
  test::write_text(path("bad.json"),
                   R"({"models": ["toy.safetensors"], "sigma": -1, "data": "data"})");
  const auto outcome = on_ranks(2, command);
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("sigma is -1"));
}

}  // namespace
}  // namespace smoothcert
