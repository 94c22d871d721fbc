// Command lines and inputs as the field has them: none is silently taken for something else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli_support.hpp"
#include "places_support.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CliField : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    write_toy_study();
  }
  /// Through bash, in the folder, as `smoothcert`; gives the exit code.
  int in_bash(const std::string& script) const {
    test::write_text(path(".script"), "smoothcert() { '" + test::program().string() +
                                          "' \"$@\"; }\nexport -f smoothcert\n" + script);
    const int status = std::system(("cd '" + path().string() + "' && bash .script").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void write_sweep(const std::string& more = "") const {
    test::write_text(path("sweep.json"),
                     R"({"data": "data", "models": "toy.safetensors", "sigma": [0.25, 0.5],
                         "n0": 10, "n": 200, "alpha": 0.05)" +
                         more + "}");
  }
};

// A negative number must not read as "not given" (foolbox issue 247).
TEST_F(CliField, NumbersThatMakeNoSenseNameTheirOption) {
  const std::string attack = "attack toy.safetensors --data data --attack pgd-l2 ";
  for (const char* bad : {"-0.5", "-1", "0", "nan", "inf", "-inf"}) {
    for (const char* option : {"--epsilon", "--step-size"})
      EXPECT_THAT(fails(2, attack + option + "=" + bad), HasSubstr(option)) << option << bad;
    EXPECT_THAT(fails(2, std::string("compare --time-budget=") + bad), HasSubstr("--time-budget"));
    EXPECT_THAT(fails(2, std::string("train smoothing --sigma=") + bad), HasSubstr("--sigma"));
    EXPECT_THAT(fails(2, std::string("train adversarial --epsilon=") + bad),
                HasSubstr("--epsilon"));
  }
  for (const char* bad : {"0", "-1", "1.5", "nan"})
    for (const char* option : {"--steps", "--restarts"})
      EXPECT_THAT(fails(2, attack + option + "=" + bad), HasSubstr(option)) << option << bad;
  for (const char* bad : {"-1", "nan", "0", "1"})
    EXPECT_THAT(fails(2, std::string("recompute s.sqlite --alpha=") + bad), HasSubstr("--alpha"));
  for (const char* bad : {"-1", "nan", "inf"})
    EXPECT_THAT(fails(2, std::string("convert toy.safetensors --out x.safetensors --sigma=") + bad),
                HasSubstr("--sigma"));
  for (const char* bad : {"1e308", "300", "1e-5"})
    EXPECT_THAT(fails(2, std::string("certify toy.safetensors --noise gaussian --sigma ") + bad),
                HasSubstr("noise is drawn for 0.0001 to 256"));
  EXPECT_THAT(fails(2, "compare --images 10 --time-budget 5"), HasSubstr("--images auto"));
}

TEST_F(CliField, FractionsAreNumbers) {
  const json report =
      json::parse(ok("attack toy.safetensors --data data --attack linf --epsilon 8/255 --json"));
  EXPECT_EQ(report.at("attacks").at(0).at("epsilon"), 8.0 / 255);
  EXPECT_THAT(fails(2, "attack toy.safetensors --epsilon 8/0"), HasSubstr("'8/0'"));
  EXPECT_THAT(fails(2, "attack toy.safetensors --epsilon 8/"), HasSubstr("'8/'"));
  const std::string settings = " --n0 10 --n 100 --alpha 0.05 --no-checks --max 3 --store f.sqlite";
  ok("certify toy.safetensors --data data --sigma 51/255" + settings);
  const auto runs = [&] {
    return ResultsStore::open(path("f.sqlite"), ResultsStore::Access::read_only)->runs();
  };
  EXPECT_EQ(runs().at(0).settings.certify.sigma, 51.0 / 255);
  test::write_text(path("s.json"), R"({"data": "data", "models": "toy.safetensors",
    "sigma": "51/255", "n0": 10, "n": 100, "alpha": 0.05, "store": "f.sqlite"})");
  ok("sweep s.json --no-checks");
  EXPECT_EQ(runs().size(), 1u) << "the same run";
}

TEST_F(CliField, TooFewVotesForAnAnswerAreRefusedBeforeTheyAreDrawn) {
  EXPECT_THAT(fails(2, "predict toy.safetensors --data data --n 10 --alpha 0.001"),
              HasSubstr("takes at least n = 11"));
  EXPECT_THAT(run("predict toy.safetensors --data data --n 11 --alpha 0.001 --json").out,
              HasSubstr("\"images\": 40"));
}

TEST_F(CliField, TrainingReplacesNothingUnasked) {
  const std::string train = "train normal --network toy.json --data data --epochs 1 --out m.st";
  ok(train);
  const std::string first = test::file_text(path("m.st"));
  EXPECT_THAT(fails(2, train + " --seed 2"), AllOf(HasSubstr("m.st"), HasSubstr("--force")));
  EXPECT_EQ(test::file_text(path("m.st")), first);
  ok(train + " --seed 2 --force");
  EXPECT_NE(test::file_text(path("m.st")), first);
}

TEST_F(CliField, SigmaAndClampingAreTheModelsOwn) {
  const std::string settings = " --data data --n0 10 --n 100 --alpha 0.05 --store own.sqlite";
  const auto outcome = run("certify toy.safetensors" + settings);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("sigma: 0.5, that of the model's training"));
  Network network = load_network(path("toy.safetensors"));
  network.clamp = false;
  save_network(network, path("free.safetensors"));
  ok("certify free.safetensors --seed 1" + settings);
  network.record.sigma = 0;
  network.record.regime = "normal";
  save_network(network, path("normal.safetensors"));
  EXPECT_THAT(fails(2, "certify normal.safetensors" + settings), HasSubstr("--sigma: which?"));
  const auto runs = ResultsStore::open(path("own.sqlite"), ResultsStore::Access::read_only)->runs();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].settings.certify.sigma, 0.5);
  EXPECT_TRUE(runs[0].settings.certify.clamp);
  EXPECT_FALSE(runs[1].settings.certify.clamp);
  // A sweep asks each model as well, unless it says so itself.
  test::write_text(path("s.json"), R"({"data": "data", "models": ["toy.safetensors",
    "free.safetensors"], "sigma": 0.5, "n0": 10, "n": 100, "alpha": 0.05, "store": "s.sqlite"})");
  ok("sweep s.json --no-checks");
  const auto swept = ResultsStore::open(path("s.sqlite"), ResultsStore::Access::read_only)->runs();
  ASSERT_EQ(swept.size(), 2u);
  EXPECT_NE(swept[0].settings.certify.clamp, swept[1].settings.certify.clamp);
}

TEST_F(CliField, HelpListsWhatWorks) {
  for (const char* command : {"recompute", "export", "certify"})
    EXPECT_THAT(ok(std::string(command) + " --help"), HasSubstr("--p-b")) << command;
  EXPECT_THAT(ok("certify --help"), AllOf(HasSubstr("--n N=100000 "), HasSubstr("--n0 N=100 "),
                                          HasSubstr("0.001"), HasSubstr("0 takes all")));
}

TEST_F(CliField, IndicesAndShardsOfOtherTools) {
  EXPECT_THAT(fails(2, "certify toy.safetensors --data data --max -1"),
              AllOf(HasSubstr("--max: '-1'"), HasSubstr("0")));
  EXPECT_THAT(fails(2, "certify toy.safetensors --data data --shard 0/500"),
              HasSubstr("--array=1-500"));
}

TEST_F(CliField, ASweepWithASigmaThatCannotBeDrawn) {
  write_sweep(R"(, "store": "s.sqlite")");
  std::string text = test::file_text(path("sweep.json"));
  text.replace(text.find("0.25"), 4, "1e-5");
  test::write_text(path("sweep.json"), text);
  const auto outcome = run("sweep sweep.json --plan");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("sweep.json"), HasSubstr("sigma"), Not(HasSubstr("certificates"))));
}

// A name out of a file must not move a terminal's cursor, in results, progress or errors.
TEST_F(CliField, ControlCharactersOfNamesAreNotShown) {
  test::write_text(path("s.json"), R"({"data": "data", "models": {"file": "toy.safetensors",
    "name": "a\u001b[2Jb\u009b31mc"}, "sigma": 0.5, "n0": 10, "n": 100, "alpha": 0.05,
    "store": "s.sqlite"})");
  const auto swept = run("sweep s.json --no-checks");
  EXPECT_EQ(swept.code, 0) << swept.err;
  const auto listed = run("export s.sqlite");
  for (const std::string& text : {swept.out, swept.err, listed.out}) {
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, Not(HasSubstr("\xc2\x9b")));
  }
  EXPECT_THAT(listed.out, HasSubstr("a?[2Jb?"));
}

// Hundreds of shards need no hundreds of open files.
TEST_F(CliField, MergesWithFewOpenFiles) {
  std::string shards;
  for (int part = 1; part <= 20; ++part) {
    const std::string name = "p" + std::to_string(part) + ".sqlite";
    ok("certify toy.safetensors --data data --n0 10 --n 100 --alpha 0.05 --no-checks --shard " +
       std::to_string(part) + "/20 --store " + name);
    shards += " " + name;
  }
  ok("certify toy.safetensors --data data --n0 10 --n 100 --alpha 0.05 --store whole.sqlite");
  EXPECT_EQ(in_bash("ulimit -n 40; smoothcert merge" + shards + " --out all.sqlite 2> err"), 0)
      << test::file_text(path("err"));
  EXPECT_EQ(dump("all.sqlite"), dump("whole.sqlite"));
#ifndef __SANITIZE_ADDRESS__  // UBSan opens a pipe to look at a vptr, and reports a fault without
                              // one
  EXPECT_EQ(in_bash("(ulimit -n 5; exec '" + test::program().string() +
                    "' recompute whole.sqlite --alpha 0.03) > out 2> err"),
            1);
  EXPECT_THAT(test::file_text(path("err")), HasSubstr("too many"));
#endif
}

TEST_F(CliField, FileNamesOfRunsAreSafe) {
  test::write_text(path("s.json"), R"({"data": "data", "models": {"file": "toy.safetensors",
    "name": "a & b / c"}, "sigma": 0.5, "n0": 10, "n": 100, "alpha": 0.05, "store": "s.sqlite"})");
  ok("sweep s.json --no-checks");
  ok("export s.sqlite --out tsv");
  EXPECT_TRUE(std::filesystem::exists(path("tsv/a_b_c_sigma0.5_n100_alpha0.05_seed0.tsv")));
  ok("export s.sqlite --out csv --format csv");
  EXPECT_THAT(test::file_text(path("csv/a_b_c_sigma0.5_n100_alpha0.05_seed0.csv")),
              testing::StartsWith("idx,label,predict,radius,correct,time\n"));
  EXPECT_THAT(fails(2, "export s.sqlite --format xls"), HasSubstr("unknown format 'xls'"));
}

TEST_F(CliField, ThreeCheckpointsOfOneNameAreToldApart) {
  std::string models;
  for (const char* sigma : {"0.25", "0.50", "1.00"}) {
    const auto folder = path("models") / ("noise_" + std::string(sigma));
    std::filesystem::create_directories(folder);
    Network network = load_network(path("toy.safetensors"));
    network.tensors.at("fc1.bias").data[0] = std::stof(sigma) / 100;
    save_network(network, folder / "checkpoint.pth.tar");
    models +=
        (models.empty() ? "" : ", ") + ("\"" + (folder / "checkpoint.pth.tar").string() + "\"");
  }
  test::write_text(path("s.json"), R"({"data": "data", "sigma": 0.5, "n0": 10, "n": 100,
    "alpha": 0.05, "store": "s.sqlite", "models": [)" +
                                       models + "]}");
  const auto outcome = run("sweep s.json --no-checks");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ok("export s.sqlite --out tsv");
  const std::string report = ok("report s.sqlite --tables markdown");
  for (const std::string name :
       {"noise_0.25-checkpoint", "noise_0.50-checkpoint", "noise_1.00-checkpoint"}) {
    EXPECT_THAT(outcome.err, HasSubstr(name + " sigma")) << "progress";
    EXPECT_THAT(report, HasSubstr("noise\\_" + name.substr(6))) << "as Markdown writes it";
    EXPECT_TRUE(
        std::filesystem::exists(path("tsv/" + name + "_sigma0.5_n100_alpha0.05_seed0.tsv")));
  }
}

TEST_F(CliField, RandomSubsetsAndImagesThatAreRight) {
  const std::string settings =
      "certify toy.safetensors --data data --n0 10 --n 100 --alpha 0.05 --no-checks ";
  const auto images = [&](const std::string& more, const std::string& store) {
    ok(settings + more + " --store " + store);
    std::vector<std::uint32_t> list;
    for (const Certificate& c :
         ResultsStore::open(path(store), ResultsStore::Access::read_only)->certificates(1))
      list.push_back(c.image);
    return list;
  };
  const auto one = images("--sample 12 --sample-seed 1", "1.sqlite");
  EXPECT_EQ(one.size(), 12u);
  EXPECT_EQ(images("--sample 12 --sample-seed 1 --seed 9", "2.sqlite"), one);
  EXPECT_NE(images("--sample 12 --sample-seed 2", "3.sqlite"), one);
  const auto more = images("--sample 20 --sample-seed 1", "4.sqlite");
  EXPECT_TRUE(std::includes(more.begin(), more.end(), one.begin(), one.end()));
  EXPECT_EQ(images("--sample 100", "5.sqlite").size(), 40u);
  EXPECT_THAT(fails(2, settings + "--sample 0"), HasSubstr("--sample"));
  Network network = load_network(path("toy.safetensors"));
  for (std::size_t p = 0; p < 16; ++p) network.tensors.at("fc1.weight").data[3 * 16 + p] = -1;
  save_network(network, path("toy.safetensors"));  // never answers 3
  const auto right = images("--only-correct", "6.sqlite");
  EXPECT_EQ(right.size(), 36u);
  test::write_text(path("s.json"), R"({"data": "data", "models": "toy.safetensors", "sigma": 0.5,
    "n0": 10, "n": 100, "alpha": 0.05, "store": "7.sqlite",
    "subset": {"sample": 12, "sample_seed": 1}})");
  ok("sweep s.json --no-checks");
  std::vector<std::uint32_t> swept;
  for (const Certificate& c :
       ResultsStore::open(path("7.sqlite"), ResultsStore::Access::read_only)->certificates(1))
    swept.push_back(c.image);
  EXPECT_EQ(swept, one);
}

// Whoever is killed again and again gets there all the same: what was counted is kept at once.
TEST_F(CliField, KillsThatComeEarlyLoseLittle) {
  const std::string command =
      "certify toy.safetensors --data data --n0 50 --n 1500000 --max 2 --threads 1 --no-checks "
      "--store k.sqlite";
  int kills = 0;
  for (; kills < 200; ++kills) {
    test::RunningProgram program(
        path(), {"certify", "toy.safetensors", "--data", "data", "--n0", "50", "--n", "1500000",
                 "--max", "2", "--threads", "1", "--no-checks", "--store", "k.sqlite"});
    const std::size_t before = stored("k.sqlite");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    // Killed as soon as anything new is on the disk: that is always soon.
    program.runs_until(
        [&] { return stored("k.sqlite") > before || std::chrono::steady_clock::now() > end; });
    if (!program.running()) break;
    EXPECT_GT(stored("k.sqlite"), before) << "kill " << kills;
    program.send(SIGKILL);
    program.wait();
  }
  EXPECT_GT(kills, 2);
  ok(command);
  ok("certify toy.safetensors --data data --n0 50 --n 1500000 --max 2 --no-checks --store "
     "w.sqlite");
  EXPECT_EQ(dump("k.sqlite"), dump("w.sqlite"));
}

TEST_F(CliField, BatchSystemsEndItAsCtrlCDoes) {
  for (const int signal : {SIGTERM, SIGUSR1}) {
    const std::string store = "s" + std::to_string(signal) + ".sqlite";
    const auto outcome = stopped(
        "certify toy.safetensors --data data --n0 50 --n 300000 --threads 1 --no-checks --store " +
            store,
        signal, [&] { return stored(store) > 0; }, store);
    EXPECT_EQ(outcome.code, 130) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("To go on: "));
  }
}

TEST_F(CliField, ASlurmArrayThatWorks) {
  write_sweep();
  const std::string script =
      ok("sweep sweep.json --plan --slurm --tasks 3 --device cpu --threads 1");
  EXPECT_THAT(script,
              AllOf(testing::StartsWith("#!/bin/bash\n"), HasSubstr("\n#SBATCH --array=1-3\n"),
                    HasSubstr("\n#SBATCH --signal=B:USR1@60\n")));
  EXPECT_FALSE(std::filesystem::exists(path("sweep.sqlite")));
  test::write_text(path("job.sh"), script);
  EXPECT_EQ(in_bash("bash job.sh 2> err"), 1) << "without an array";
  for (const char* task : {"1", "2", "3"})
    EXPECT_EQ(in_bash("SLURM_ARRAY_TASK_ID=" + std::string(task) + " bash job.sh > out 2> err"), 0)
        << test::file_text(path("err"));
  EXPECT_EQ(in_bash("smoothcert merge sweep.*-of-3.sqlite --out merged.sqlite > out 2> err"), 0)
      << test::file_text(path("err"));
  ok("sweep sweep.json --store whole.sqlite");
  EXPECT_EQ(dump("merged.sqlite"), dump("whole.sqlite"));
  // A store with a name of its own gets the shards into its name as well.
  EXPECT_THAT(ok("sweep sweep.json --plan --slurm --store deep/own.sqlite"),
              HasSubstr("deep/own.\"$part\"-of-1.sqlite"));
  EXPECT_THAT(fails(2, "sweep sweep.json --slurm"), HasSubstr("--plan"));
  EXPECT_THAT(fails(2, "sweep sweep.json --plan --slurm --shard 1/2"), HasSubstr("--shard"));
}

TEST_F(CliField, StatusSeesARunningSweepFromOutside) {
  write_sweep();
  test::write_text(path("long.json"), R"({"data": "data", "models": "toy.safetensors",
    "sigma": [0.25, 0.5], "n0": 10, "n": 3000000, "alpha": 0.05, "store": "long.sqlite"})");
  test::RunningProgram program(path(), {"sweep", "long.json", "--threads", "1", "--no-checks"});
  ASSERT_TRUE(program.runs_until([&] {
    return std::filesystem::exists(path("long.sqlite-progress")) && stored("long.sqlite") > 0;
  }));
  const json one = json::parse(ok("status long.sqlite --json")).at("stores").at(0);
  EXPECT_EQ(one.at("images_planned"), 80);
  EXPECT_EQ(one.at("runs_planned"), 2);
  EXPECT_GT(one.at("samples_per_second"), 0);
  EXPECT_GT(one.at("seconds_left"), 0);
  EXPECT_THAT(one.at("state").get<std::string>(),
              HasSubstr("running, process " + std::to_string(program.id())));
  program.send(SIGKILL);
  program.wait();
  EXPECT_THAT(ok("status long.sqlite"), AllOf(HasSubstr("killed"), HasSubstr("/80")));
  ok("sweep sweep.json --shard 2/2");
  EXPECT_THAT(ok("status sweep.2-of-2.sqlite"), AllOf(HasSubstr("40/40"), HasSubstr("done")));
  EXPECT_THAT(ok("status long.sqlite sweep.2-of-2.sqlite"), HasSubstr("together"));
  EXPECT_THAT(fails(2, "status"), HasSubstr("of which store?"));
}

TEST_F(CliField, CompletionIsWhatTheHelpSays) {
  test::write_text(path("c.bash"), ok("completion bash"));
  EXPECT_EQ(in_bash("source ./c.bash\n"
                    "COMP_WORDS=(smoothcert cert); COMP_CWORD=1; _smoothcert\n"
                    "[ \"${COMPREPLY[*]}\" = certify ] || exit 3\n"
                    "COMP_WORDS=(smoothcert certify --sig); COMP_CWORD=2; _smoothcert\n"
                    "[ \"${COMPREPLY[*]}\" = --sigma ] || exit 4\n"
                    "COMP_WORDS=(smoothcert certify --noise l); COMP_CWORD=3; _smoothcert\n"
                    "[ \"${COMPREPLY[*]}\" = lattice ] || exit 5\n"
                    "COMP_WORDS=(smoothcert attack --attack pgd-l2); COMP_CWORD=3; _smoothcert\n"
                    "[ \"${COMPREPLY[*]}\" = pgd-l2 ] || exit 6\n"),
            0);
  EXPECT_THAT(ok("completion zsh"),
              AllOf(testing::StartsWith("#compdef smoothcert\n"), HasSubstr("--sigma[")));
  EXPECT_THAT(ok("completion fish"), HasSubstr("-l sigma"));
  const std::string man = ok("completion man");
  EXPECT_THAT(man, AllOf(testing::StartsWith(".TH SMOOTHCERT 1"), HasSubstr("\n.SS certify\n"),
                         HasSubstr("\\-\\-sigma")));
  EXPECT_THAT(fails(2, "completion tcsh"), HasSubstr("unknown shell 'tcsh'"));
  if (std::system("command -v man > /dev/null && command -v groff > /dev/null") == 0) {
    test::write_text(path("smoothcert.1"), man);
    EXPECT_EQ(in_bash("groff -man -Tutf8 -ww smoothcert.1 > out 2> err; [ ! -s err ]"), 0)
        << test::file_text(path("err"));
  }
  for (const auto& [shell, file] : {std::pair("zsh", "c.zsh"), std::pair("fish", "c.fish")}) {
    if (std::system((std::string("command -v ") + shell + " > /dev/null").c_str()) != 0) continue;
    test::write_text(path(file), ok(std::string("completion ") + shell));
    EXPECT_EQ(in_bash(std::string(shell) + " -n " + file), 0) << shell;
  }
}

TEST_F(CliField, AnActivationThatExistsElsewhere) {
  test::write_text(path("g.json"), R"({"name":"g","input":[1,4,4],"classes":10,"layers":[
      {"op":"flatten"},{"op":"gelux"},{"op":"linear","name":"fc1","out_features":10}]})");
  EXPECT_THAT(fails(2, "certify toy.safetensors --network g.json"), HasSubstr("did you mean"));
  test::write_text(path("g.json"), R"({"name":"g","input":[1,4,4],"classes":10,"layers":[
      {"op":"flatten"},{"op":"mish"},{"op":"linear","name":"fc1","out_features":10}]})");
  EXPECT_THAT(fails(2, "certify toy.safetensors --network g.json"),
              AllOf(HasSubstr("exists in PyTorch, but not here"), Not(HasSubstr("did you mean"))));
}

}  // namespace
}  // namespace smoothcert
