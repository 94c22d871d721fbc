// sweep, through the program: planned, interrupted, killed, sharded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "cli_support.hpp"
#include "data_support.hpp"
#include "places_support.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CliSweep : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    write_toy_study();
    write_sweep("sweep.json", "sweep.sqlite", 500);
    // About a second of work, of which most is one image's: n is large.
    write_sweep("long.json", "long.sqlite", 200'000);
    write_sweep("whole.json", "whole.sqlite", 200'000);
  }
  void write_sweep(const std::string& file, const std::string& store, int n) const {
    test::write_text(path(file), json{{"store", store},
                                      {"data", "data"},
                                      {"models", {"toy.safetensors"}},
                                      {"sigma", {0.25, 0.5}},
                                      {"n0", 50},
                                      {"n", n},
                                      {"alpha", {0.01, 0.001}},
                                      {"subset", {{"skip", 2}}}}
                                     .dump());
  }
};

TEST_F(CliSweep, SaysItsPlanBeforeItStarts) {
  const auto plan = run("sweep sweep.json --plan");
  EXPECT_EQ(plan.code, 0);
  EXPECT_EQ(plan.out, "");
  EXPECT_THAT(plan.err, HasSubstr("1 model, 4 runs of 20 images, 80 certificates"));
  EXPECT_THAT(plan.err, HasSubstr("22000 samples to draw, expected time"));
  EXPECT_THAT(plan.err, HasSubstr("trained with sigma 0.5 and is certified at 0.25"));
  EXPECT_FALSE(std::filesystem::exists(path("sweep.sqlite"))) << "a plan leaves nothing behind";
  const json forecast = json::parse(ok("sweep sweep.json --plan --json"));
  EXPECT_EQ(forecast.at("certificates"), 80);
  EXPECT_EQ(forecast.at("samples"), 22000);
  EXPECT_THAT(forecast.at("findings").dump(), HasSubstr("certified at 0.25"));
  EXPECT_FALSE(std::filesystem::exists(path("sweep.sqlite")));
  const auto outcome = run("sweep sweep.json --json");
  EXPECT_EQ(outcome.code, 0);
  const json runs = json::parse(outcome.out).at("runs");
  ASSERT_EQ(runs.size(), 4u);
  for (const auto& run : runs) EXPECT_EQ(run.at("images"), 20);
  EXPECT_EQ(run("sweep sweep.json --quiet").err, "");
  EXPECT_THAT(run("sweep sweep.json").err, HasSubstr("resumed 20 of 20 images"));
}

TEST_F(CliSweep, SaysThatTwoModelsAreOne) {
  test::write_text(path("twice.json"),
                   R"({"data": "data", "sigma": 0.5, "n0": 50, "n": 500, "alpha": 0.01,
                       "models": ["toy.safetensors", {"file": "toy.safetensors", "name": "other"}]})");
  EXPECT_THAT(run("sweep twice.json").err,
              HasSubstr("warning: model 'other' is the same network as 'toy'"));
}

TEST_F(CliSweep, ShardsMergeToTheWhole) {
  ok("sweep sweep.json");
  for (const char* shard : {"1/2", "2/2"}) ok(std::string("sweep sweep.json --shard ") + shard);
  ok("merge sweep.1-of-2.sqlite sweep.2-of-2.sqlite --out merged.sqlite");
  EXPECT_EQ(dump("merged.sqlite"), dump("sweep.sqlite"));
}

TEST_F(CliSweep, CtrlCKeepsWhatWasDoneAndSaysHowToGoOn) {
  ok("sweep whole.json");
  const auto outcome = stopped(
      "sweep long.json", SIGINT, [&] { return has_run("long.sqlite"); }, "long.sqlite");
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("stopped; what was finished is kept in long.sqlite"));
  EXPECT_THAT(outcome.err, HasSubstr("sweep long.json"));
  EXPECT_NE(dump("long.sqlite"), dump("whole.sqlite"));
  ok("sweep long.json");
  EXPECT_EQ(dump("long.sqlite"), dump("whole.sqlite"));
}

TEST_F(CliSweep, SurvivesBeingKilledAgainAndAgain) {
  ok("sweep whole.json");
  std::mt19937 random(3);
  std::size_t held = 0;
  // Each time somewhere after more of it was stored; where it ended before, from the beginning.
  int killed = 0;
  for (int attempt = 0; killed < 5 && attempt < 50; ++attempt) {
    test::RunningProgram program(path(), {"sweep", "long.json", "--no-download"});
    if (program.runs_until([&] { return stored("long.sqlite") > held; }))
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 50));
    program.send(SIGKILL);
    if (program.wait().signal == SIGKILL) {
      ++killed;
      EXPECT_GT(stored("long.sqlite"), 0u);
    } else {
      remove("long.sqlite");
    }
    held = stored("long.sqlite");
  }
  EXPECT_EQ(killed, 5);
  ok("sweep long.json");
  EXPECT_EQ(dump("long.sqlite"), dump("whole.sqlite"));
}

TEST_F(CliSweep, TakesModelsOfOthersWithTheirDescription) {
  // Without our metadata: what safetensors.torch.save_file would write.
  std::string file = test::file_text(path("toy.safetensors"));
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  json header = json::parse(file.substr(8, length));
  header.erase("__metadata__");
  const std::string text = header.dump(), data = file.substr(8 + length);
  length = text.size();
  std::memcpy(file.data(), &length, 8);
  test::write_text(path("theirs.safetensors"), file.substr(0, 8) + text + data);
  test::write_text(path("theirs.json"),
                   R"({"data": "data", "sigma": 0.5, "n": 200, "store": "theirs.sqlite",
       "models": [{"file": "theirs.safetensors", "network": "toy.json"}]})");
  EXPECT_THAT(ok("sweep theirs.json"), HasSubstr("theirs"));
}

TEST_F(CliSweep, BadFilesAreOneLine) {
  EXPECT_THAT(fails(2, "sweep"), HasSubstr("smoothcert sweep sweep.json"));
  EXPECT_THAT(fails(1, "sweep missing.json"), HasSubstr("missing.json"));
  const std::pair<const char*, const char*> cases[] = {
      {"{", "is not valid JSON (line 1)"},
      {R"({"sigma": 0.5})", "\"models\" is missing"},
      {R"({"models": ["toy.safetensors"]})", "\"sigma\" is missing"},
      {R"({"models": ["toy.safetensors"], "sgima": 1})", "did you mean 'sigma'"},
      {R"({"models": ["toy.safetensors"], "sigma": 0.5, "split": "testing"})", "\"split\" must be"},
      {R"({"models": ["toy.safetensors"], "sigma": -1, "data": "data"})", "sigma is -1"},
      {R"({"models": ["toy.safetensors"], "sigma": 1, "alpha": 2, "data": "data"})", "alpha is 2"},
      {R"({"models": ["toy.safetensors"], "sigma": 1, "n": 5, "data": "data"})",
       "it takes at least n = 10"},
      {R"({"models": ["toy.safetensors"], "sigma": 1, "n": 0, "data": "data"})", "n is 0"},
      {R"({"models": ["toy.safetensors"], "sigma": 1, "data": "data", "subset": {"start": 99}})",
       "holds none of 40 images"},
  };
  for (const auto& [text, message] : cases) {
    test::write_text(path("bad.json"), text);
    EXPECT_THAT(fails(2, "sweep bad.json"), HasSubstr(message)) << text;
  }
  test::write_text(path("bad.json"),
                   R"({"models": ["none.safetensors"], "sigma": 1, "data": "data"})");
  EXPECT_THAT(fails(1, "sweep bad.json"), HasSubstr("none.safetensors"));
}

}  // namespace
}  // namespace smoothcert
