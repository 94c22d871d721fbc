// Help, names that are nearly right, configuration files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli_support.hpp"
#include "places_support.hpp"
#include "smoothcert/version.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::vector<std::string> kCommands = {
    "compare", "report", "train",   "attack", "certify",    "predict", "disprove",
    "radius",  "export", "import",  "merge",  "recompute",  "sweep",   "status",
    "data",    "info",   "convert", "bench",  "completion", "verify"};

class CliHelp : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
  }
};

TEST_F(CliHelp, ListsEveryCommandOnce) {
  const std::string help = ok("--help");
  EXPECT_EQ(ok("help"), help);
  EXPECT_EQ(run(std::vector<std::string>{}).out, help);
  for (const auto& name : kCommands) EXPECT_THAT(help, HasSubstr("\n   " + name + " ")) << name;
  EXPECT_THAT(ok("--version"), StartsWith(std::string("smoothcert ") + kVersion));
  std::istringstream in(help);
  for (std::string line, heading; std::getline(in, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(CliHelp, EveryCommandHasExamples) {
  for (const auto& name : kCommands) {
    const std::string help = ok(name + " --help");
    EXPECT_THAT(help, HasSubstr("smoothcert " + name)) << name;
    EXPECT_THAT(help, HasSubstr("Examples:\n  smoothcert " + name)) << name;
    EXPECT_THAT(help, HasSubstr("--config FILE")) << name;
    EXPECT_THAT(help, HasSubstr("--quiet")) << name;
    EXPECT_THAT(help, HasSubstr("--json")) << name;
    EXPECT_EQ(ok("help " + name), help);
    EXPECT_EQ(ok(name + " -h"), help);
  }
}

TEST_F(CliHelp, SuggestsTheNearest) {
  EXPECT_THAT(fails(2, "certfy"), HasSubstr("did you mean 'certify'?"));
  EXPECT_THAT(fails(2, "help certfy"), HasSubstr("did you mean 'certify'?"));
  EXPECT_THAT(fails(2, "certify m.safetensors --sgima 1"), HasSubstr("did you mean --sigma?"));
  EXPECT_THAT(fails(2, "certify m.safetensors --frobnicate"),
              HasSubstr("'smoothcert certify --help' lists them"));
  EXPECT_THAT(fails(2, "--sigma 1"), HasSubstr("a command comes first"));
  EXPECT_THAT(fails(2, "info resnet20 surplus"), HasSubstr("unexpected argument 'surplus'"));
  EXPECT_THAT(fails(2, "info resnet2"), HasSubstr("did you mean 'resnet20'?"));
  EXPECT_THAT(fails(2, "certify m.safetensors --noise latice"),
              HasSubstr("did you mean 'lattice'?"));
  EXPECT_THAT(fails(2, "certify m.safetensors --mode exakt"), HasSubstr("did you mean 'exact'?"));
  EXPECT_THAT(fails(2, "info --device gpu"), HasSubstr("cuda"));
  EXPECT_THAT(fails(2, "data shw"), HasSubstr("did you mean 'show'?"));
  EXPECT_THAT(fails(2, "data show mnits --no-download"), HasSubstr("did you mean 'mnist'?"));
}

TEST_F(CliHelp, InfoForPeopleAndScripts) {
  EXPECT_THAT(ok("info"), HasSubstr("networks: "));
  const json info = json::parse(ok("info --json --device cpu"));
  EXPECT_EQ(info.at("backend"), "cpu");
  EXPECT_EQ(info.at("version"), kVersion);
  EXPECT_THAT(ok("info resnet20"), AllOf(HasSubstr("3×32×32 to 10 classes"),
                                         HasSubstr("272,474 parameters, 40,813,184 multiply-adds"),
                                         HasSubstr("--mode exact: ")));
  const json dense = json::parse(ok("info densenet-40 --json"));
  EXPECT_EQ(dense.at("parameters"), 211978);
  EXPECT_EQ(dense.at("without_gradient").size(), 0u);
  EXPECT_EQ(json::parse(ok("data --json")).at("data").at(0), "mnist");
}

TEST_F(CliHelp, TakesOptionsFromAFile) {
  write_toy_study();
  test::write_text(
      path("own.toml"),
      "data = \"data\"\nsigma = 0.5\n\n[certify]\nn0 = 20\nn = 300\nalpha = 0.01\nmax = 5\n"
      "\n[train]\nepochs = 7\n");
  ok("certify toy.safetensors --config own.toml --store a.sqlite");
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 20 --n 300 --alpha 0.01 --max 5 --store "
     "b.sqlite");
  EXPECT_EQ(dump("a.sqlite"), dump("b.sqlite"));
  const json other =
      json::parse(ok("certify toy.safetensors --config own.toml --max 3 --store c.sqlite --json"));
  EXPECT_EQ(other.at("images"), 3) << "the command line wins";
  test::write_text(path("bad.toml"), "[certify]\nsgima = 1\n");
  EXPECT_THAT(fails(2, "certify toy.safetensors --config bad.toml"),
              HasSubstr("bad.toml: unknown key 'sgima'; did you mean 'sigma'?"));
  test::write_text(path("bad.toml"), "[certfy]\nsigma = 1\n");
  EXPECT_THAT(fails(2, "certify toy.safetensors --config bad.toml"),
              HasSubstr("unknown section 'certfy'; did you mean 'certify'?"));
  EXPECT_THAT(fails(2, "certify toy.safetensors --config missing.toml"),
              HasSubstr("cannot read missing.toml"));
}

}  // namespace
}  // namespace smoothcert
