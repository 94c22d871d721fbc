// certify, predict, export, recompute, import and merge, through the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli_support.hpp"
#include "data_support.hpp"
#include "places_support.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/result_files.hpp"
#include "store/sqlite.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kSettings = " --data data --sigma 0.5 --n0 50 --n 500 --alpha 0.01";

/// Gives image 0 of a store one more vote than it got, and everything that follows from it.
void forge(const std::filesystem::path& file, std::uint32_t image) {
  auto store = ResultsStore::open(file, ResultsStore::Access::read_write);
  const RunInfo run = store->runs().front();
  Certificate lie;
  for (const Certificate& c : store->certificates(run.id))
    if (c.image == image) lie = c;
  store::Database(file, store::Database::Access::read_write)
      .execute("DELETE FROM certificates WHERE image = " + std::to_string(image));
  const auto selected = static_cast<std::size_t>(lie.selected);
  std::uint64_t& other = lie.estimation.counts[selected == 0 ? 1 : 0];
  std::uint64_t& mine = lie.estimation.counts[selected];
  (mine > 0 ? mine : other) -= 1;
  (mine > 0 ? other : mine) += 1;
  store->add_certificate(
      run.id, make_certificate(lie.image, lie.label, lie.selection, lie.estimation,
                               bound_settings(run.settings.certify, run.settings.shape)));
}

class CliCertify : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    write_toy_study();
  }
};

TEST_F(CliCertify, DataOfOtherThanTenClasses) {
  // Neither IDX nor NumPy says how many classes there are: the network does.
  for (const int classes : {3, 30}) {
    for (const char* stem : {"train", "t10k"}) {
      test::Bytes pixels, labels;
      for (int i = 0; i < 40; ++i) {
        labels.push_back(static_cast<Label>(i % classes));
        pixels.insert(pixels.end(), 16, static_cast<std::uint8_t>(i));
      }
      const std::string start = std::string("other/") + stem;
      std::filesystem::create_directories(path("other"));
      test::write_bytes(path(start + "-images-idx3-ubyte"), test::idx_bytes({40, 4, 4}, pixels));
      test::write_bytes(path(start + "-labels-idx1-ubyte"), test::idx_bytes({40}, labels));
    }
    test::write_text(
        path("other.json"),
        R"({"name":"other","input":[1,4,4],"classes":)" + std::to_string(classes) +
            R"(,"layers":[{"op":"flatten"},{"op":"linear","name":"fc1","out_features":)" +
            std::to_string(classes) + "}]}");
    ok("train normal --network other.json --data other --epochs 1 --out other.safetensors --force");
    const std::string store = std::to_string(classes) + ".sqlite";
    ok("certify other.safetensors --data other --sigma 0.5 --n0 10 --n 100 --no-checks --store " +
       store);
    EXPECT_EQ(stored(store), 40u);
    ok("predict other.safetensors --data other --sigma 0.5 --n 100");
    ok("attack other.safetensors --data other --attack l2");
    test::write_text(path("other-sweep.json"),
                     R"({"data": "other", "models": "other.safetensors", "sigma": 0.5, "n0": 10,
                         "n": 100, "alpha": 0.05, "store": "other.sqlite"})");
    ok("sweep other-sweep.json --no-checks");
    EXPECT_EQ(stored("other.sqlite"), 40u);
    remove("other.sqlite");
    EXPECT_THAT(ok("data show other"),
                HasSubstr(std::to_string(std::max(10, classes)) + " classes"));
  }
}

TEST_F(CliCertify, AnAlphaBeyondIntegers) {
  EXPECT_THAT(ok("certify toy.safetensors --data data --sigma 0.5 --n0 10 --n 1100 --max 1 --alpha "
                 "1e-300 --no-checks"),
              HasSubstr("up to one certificate in 1e+300 may be false"));
}

TEST_F(CliCertify, ExportSaysWhatItWroteAsJson) {
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 500 --alpha 0.01");
  const nlohmann::json one =
      nlohmann::json::parse(ok("export results.sqlite --run 1 --tsv one.tsv --json"));
  EXPECT_EQ(one.at("files").at(0).at("file"), "one.tsv");
  const nlohmann::json all = nlohmann::json::parse(ok("export results.sqlite --out tsv --json"));
  EXPECT_EQ(all.at("files").size(), 1u);
  EXPECT_TRUE(std::filesystem::exists(path(all.at("files").at(0).at("file").get<std::string>())));
  EXPECT_EQ(nlohmann::json::parse(ok("export results.sqlite --dump --json")).at("dump"),
            ok("export results.sqlite --dump"));
}

TEST_F(CliCertify, TellsWhatItFound) {
  const std::string out = ok("certify toy.safetensors" + kSettings + " --store a.sqlite");
  EXPECT_THAT(out, HasSubstr("images               40"));
  EXPECT_THAT(out, HasSubstr("at α = 0.01 up to one certificate in 100 may be false"));
  const json report =
      json::parse(ok("certify toy.safetensors" + kSettings + " --store a.sqlite --json"));
  EXPECT_EQ(report.at("images"), 40);
  EXPECT_EQ(report.at("abstained").get<int>() + report.at("wrong").get<int>() +
                report.at("correct_certified").get<int>(),
            40);
  EXPECT_GT(report.at("correct_certified"), 20);
}

TEST_F(CliCertify, QuietIsSilent) {
  const auto outcome = run("certify toy.safetensors" + kSettings + " --store a.sqlite --quiet");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(CliCertify, SaysWhatItContinues) {
  ok("certify toy.safetensors" + kSettings + " --max 10");
  const auto outcome = run("certify toy.safetensors" + kSettings + " --max 20");
  EXPECT_THAT(outcome.err, HasSubstr("resumed 10 of 20 images"));
}

TEST_F(CliCertify, DependsOnTheSeedAndNothingElse) {
  ok("certify toy.safetensors" + kSettings + " --seed 3 --threads 1 --store a.sqlite");
  ok("certify toy.safetensors" + kSettings + " --seed 3 --threads 1 --store b.sqlite");
  ok("certify toy.safetensors" + kSettings + " --seed 3 --threads 3 --store c.sqlite");
  ok("certify toy.safetensors" + kSettings + " --seed 4 --threads 1 --store d.sqlite");
  EXPECT_EQ(dump("a.sqlite"), dump("b.sqlite"));
  EXPECT_EQ(dump("a.sqlite"), dump("c.sqlite"));
  EXPECT_NE(dump("a.sqlite"), dump("d.sqlite"));
  EXPECT_EQ(ok("export a.sqlite --dump"), dump("a.sqlite"));
}

TEST_F(CliCertify, CtrlCKeepsWhatWasDoneAndSaysHowToGoOn) {
  const std::string command =
      "certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 100000 --threads 1 --store ";
  ok(command + "whole.sqlite");
  const auto outcome = stopped(
      command + "part.sqlite", SIGINT, [&] { return has_run("part.sqlite"); }, "part.sqlite");
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("stopped; what was finished is kept in part.sqlite. To go on: "));
  EXPECT_THAT(outcome.err, HasSubstr(command + "part.sqlite"));
  ok(command + "part.sqlite");
  EXPECT_EQ(dump("part.sqlite"), dump("whole.sqlite"));
}

TEST_F(CliCertify, ChecksTheModelFirst) {
  Network network = load_network(path("toy.safetensors"));
  for (float& w : network.tensors.at("fc1.weight").data) w = -w;
  save_network(network, path("wrong.safetensors"));
  const auto refused = run("certify wrong.safetensors" + kSettings);
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err,
              HasSubstr("error: model 'wrong' is at chance on clean images (0 % of 40)"));
  EXPECT_EQ(run("certify wrong.safetensors" + kSettings + " --force").code, 0);
  EXPECT_EQ(run("certify wrong.safetensors" + kSettings + " --no-checks").code, 0);
  const auto other_sigma =
      run("certify toy.safetensors --data data --sigma 1 --n 500 --n0 10 --alpha 0.01 --no-clamp");
  EXPECT_THAT(other_sigma.err, HasSubstr("trained with sigma 0.5 and is certified at 1"));
  EXPECT_THAT(other_sigma.err, HasSubstr("trained with clamping"));
  EXPECT_THAT(other_sigma.err, HasSubstr("no radius above"));
}

TEST_F(CliCertify, WritesTheFieldsTsv) {
  ok("certify toy.safetensors" + kSettings + " --skip 4 --tsv own.tsv");
  EXPECT_EQ(ok("export results.sqlite --run 1"), test::file_text(path("own.tsv")));
  ok("export results.sqlite --out tsv");
  EXPECT_EQ(test::file_text(path("tsv/toy_sigma0.5_n500_alpha0.01_seed0.tsv")),
            test::file_text(path("own.tsv")));
  std::istringstream in(test::file_text(path("own.tsv")));
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(line, "idx\tlabel\tpredict\tradius\tcorrect\ttime");
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(std::getline(in, line));
    EXPECT_THAT(line, StartsWith(std::to_string(4 * i) + "\t"));
    EXPECT_EQ(std::count(line.begin(), line.end(), '\t'), 5);
  }
  EXPECT_FALSE(std::getline(in, line));
  const json runs = json::parse(ok("export results.sqlite --json"));
  EXPECT_EQ(runs.at("runs").at(0).at("images"), 10);
  const json rows = json::parse(ok("export results.sqlite --run 1 --json"));
  EXPECT_EQ(rows.at("certificates").size(), 10u);
  EXPECT_THAT(ok("export results.sqlite"), HasSubstr("toy"));
}

TEST_F(CliCertify, RecomputesAnAlphaAsAFreshRunWouldGiveIt) {
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 500 --alpha 0.1 --store "
     "a.sqlite");
  EXPECT_THAT(ok("recompute a.sqlite --alpha 0.001"), HasSubstr("0.001"));
  const json report = json::parse(ok("recompute a.sqlite --alpha 0.001 --json"));
  EXPECT_EQ(report.at("added"), 0);
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 500 --alpha 0.1 --store "
     "b.sqlite");
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 500 --alpha 0.001 --store "
     "c.sqlite");
  const auto certificates = [&](const char* file, double alpha) {
    const auto store = ResultsStore::open(path(file), ResultsStore::Access::read_only);
    for (const RunInfo& run : store->runs())
      if (run.settings.certify.alpha == alpha) return store->certificates(run.id);
    return std::vector<Certificate>();
  };
  const auto derived = certificates("a.sqlite", 0.001), fresh = certificates("c.sqlite", 0.001);
  ASSERT_EQ(derived.size(), 40u);
  ASSERT_EQ(fresh.size(), 40u);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(derived[i].radius, fresh[i].radius);
    EXPECT_EQ(derived[i].prediction, fresh[i].prediction);
    EXPECT_EQ(derived[i].estimation.counts, fresh[i].estimation.counts);
  }
}

TEST_F(CliCertify, RecomputesWithTheOtherSecondBoundAndExportsOtherNorms) {
  const std::string settings = "certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 500 ";
  ok(settings + "--store a.sqlite");
  const json report = json::parse(ok("recompute a.sqlite --p-b counted --json"));
  EXPECT_EQ(report.at("added"), 40);
  EXPECT_EQ(report.at("runs").at(1).at("p_b"), "counted");
  ok(settings + "--p-b counted --store fresh.sqlite");
  const auto radii = [&](const std::string& arguments) {
    std::vector<double> list;
    const json run = json::parse(ok("export " + arguments + " --json"));
    for (const json& c : run.at("certificates")) list.push_back(c.at("radius"));
    return list;
  };
  const auto counted = radii("a.sqlite --run 2");
  EXPECT_EQ(counted, radii("fresh.sqlite --run 1"));
  EXPECT_EQ(counted, radii("a.sqlite --run 1 --p-b counted"));
  EXPECT_EQ(radii("a.sqlite --run 2 --norm l1"), counted);
  const auto linf = radii("a.sqlite --run 2 --norm linf");
  ASSERT_EQ(linf.size(), 40u);
  for (std::size_t i = 0; i < linf.size(); ++i) {  // 16 pixels
    EXPECT_LE(4 * linf[i], counted[i]);
    EXPECT_NEAR(4 * linf[i], counted[i], 1e-14);
  }
  EXPECT_THAT(fails(2, "export a.sqlite --run 1 --norm l3"), HasSubstr("unknown norm 'l3'"));
  EXPECT_THAT(fails(2, "recompute a.sqlite --p-b both"), HasSubstr("unknown bound 'both'"));
  EXPECT_THAT(fails(2, settings + "--p-b count --store b.sqlite"), HasSubstr("'counted'"));
}

TEST_F(CliCertify, PredictsTwiceTheSame) {
  const std::string command =
      "predict toy.safetensors --data data --sigma 0.5 --n 200 --alpha 0.01";
  const auto without_time = [](const std::string& tsv) {
    std::istringstream in(tsv);
    std::string out;
    for (std::string line; std::getline(in, line);) out += line.substr(0, line.rfind('\t')) + "\n";
    return out;
  };
  const std::string first = ok(command);
  EXPECT_THAT(first, StartsWith("idx\tlabel\tpredict\tcorrect\ttime\n"));
  EXPECT_EQ(without_time(first), without_time(ok(command + " --threads 1")));
  EXPECT_EQ(json::parse(ok(command + " --json --max 7")).at("images"), 7);
  ok(command + " --tsv out.tsv");
  EXPECT_EQ(without_time(test::file_text(path("out.tsv"))), without_time(first));
}

TEST_F(CliCertify, ImportsPeers) {
  ok("certify toy.safetensors" + kSettings + " --tsv peer.tsv");
  const std::string text = ok("import peer.tsv --name theirs");
  EXPECT_THAT(text, HasSubstr("theirs: 40 images"));
  EXPECT_EQ(json::parse(ok("import peer.tsv --json")).at("imported").at(0).at("images"), 40);
  const auto store = ResultsStore::open(path("results.sqlite"), ResultsStore::Access::read_only);
  const auto imported = imported_results(*store);
  ASSERT_EQ(imported.size(), 2u);
  EXPECT_EQ(imported[0].name, "peer");
  const auto ours = store->certificates(1);
  for (std::size_t i = 0; i < 40; ++i)
    EXPECT_EQ(imported[1].certificates[i].radius, ours[i].radius);
}

TEST_F(CliCertify, ShardsMergeToTheWhole) {
  ok("certify toy.safetensors" + kSettings + " --store whole.sqlite");
  for (const char* part : {"1", "2", "3"})
    ok("certify toy.safetensors" + kSettings + " --shard " + part + "/3 --store part" + part +
       ".sqlite");
  const json report =
      json::parse(ok("merge part1.sqlite part2.sqlite part3.sqlite --out merged.sqlite --json"));
  EXPECT_EQ(report.at("certificates"), 40);
  EXPECT_EQ(dump("merged.sqlite"), dump("whole.sqlite"));
  EXPECT_THAT(fails(2, "merge part1.sqlite part2.sqlite part3.sqlite --out merged.sqlite"),
              HasSubstr("'merged.sqlite' exists"));
  EXPECT_THAT(fails(1, "merge part1.sqlite part2.sqlite --out gaps.sqlite"),
              HasSubstr("13 images of 'toy' at sigma 0.5: in none of the stores"));
  EXPECT_THAT(fails(1, "merge part1.sqlite part1.sqlite --out twice.sqlite"),
              HasSubstr("so does a store before it"));
  ok("certify toy.safetensors --data data --sigma 0.25 --n0 50 --n 500 --alpha 0.01 --shard 2/3 "
     "--store other.sqlite");
  EXPECT_THAT(fails(1, "merge part1.sqlite other.sqlite --out mixed.sqlite"),
              HasSubstr("mixed settings"));
  for (const char* file : {"gaps.sqlite", "twice.sqlite", "mixed.sqlite"})
    EXPECT_FALSE(std::filesystem::exists(path(file))) << file;
  EXPECT_THAT(ok("merge part1.sqlite part2.sqlite --allow-gaps --out gaps.sqlite"),
              HasSubstr("13 images missing"));
}

// What a radius is a statement about stands wherever a radius does.
TEST_F(CliCertify, ContinuousNoiseIsLabelledEverywhere) {
  const std::string words = "in real arithmetic only";
  const std::string gaussian =
      "certify toy.safetensors" + kSettings + " --noise gaussian --no-clamp";
  const auto first = run(gaussian);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("guarantee            " + words));
  EXPECT_EQ(json::parse(ok(gaussian + " --json")).at("guarantee"), words);
  EXPECT_THAT(ok("certify toy.safetensors" + kSettings), HasSubstr("sound as executed"));
  EXPECT_THAT(ok("certify toy.safetensors" + kSettings + " --no-clamp"),
              HasSubstr("sound as executed"));
  const std::string list = ok("export results.sqlite");
  EXPECT_THAT(list, HasSubstr(words));
  EXPECT_THAT(list, HasSubstr("sound as executed"));
  const json runs = json::parse(ok("export results.sqlite --json")).at("runs");
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].at("guarantee"), words);
  EXPECT_EQ(runs[1].at("guarantee"), "sound as executed");
  EXPECT_THAT(ok("recompute results.sqlite --alpha 0.05"), HasSubstr(words));
  EXPECT_THAT(run("export results.sqlite --run 1 --tsv one.tsv --quiet").err, HasSubstr(words));
  EXPECT_THAT(run("export results.sqlite --run 1").err, HasSubstr(words));
  EXPECT_EQ(json::parse(ok("export results.sqlite --run 1 --json")).at("guarantee"), words);
  ok("export results.sqlite --out tsv");
  std::set<std::string> names;
  int real = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path("tsv"))) {
    const std::string name = entry.path().filename().string();
    names.insert(name);
    real += name.find("gaussian-real-arithmetic_unclamped") != std::string::npos ? 1 : 0;
    EXPECT_EQ(name.find("_run"), std::string::npos) << "told apart by what differs: " << name;
  }
  EXPECT_EQ(names.size(), 6u);
  EXPECT_EQ(real, 2);
  EXPECT_THAT(ok("report results.sqlite --tables markdown"), HasSubstr(words));
  ok("report results.sqlite --out report");
  EXPECT_THAT(test::file_text(path("report/report.html")), HasSubstr(words));
  const auto predicted =
      run("predict toy.safetensors --data data --sigma 0.5 --n 500 --alpha 0.01 "
          "--noise gaussian --json");
  EXPECT_EQ(json::parse(predicted.out).at("guarantee"), words);
  EXPECT_THAT(predicted.err, HasSubstr(words));
}

TEST_F(CliCertify, AStoreThatLiesIsNotBelieved) {
  ok("certify toy.safetensors" + kSettings);
  EXPECT_THAT(ok("verify results.sqlite"), HasSubstr("0 rows fail"));
  store::Database(path("results.sqlite"), store::Database::Access::read_write)
      .execute("UPDATE certificates SET radius = 9.9 WHERE image IN (3, 7)");
  for (const char* command :
       {"export results.sqlite --run 1", "export results.sqlite", "report results.sqlite --out r",
        "report results.sqlite --tables markdown", "verify results.sqlite",
        "recompute results.sqlite --alpha 0.02"}) {
    const auto outcome = run(command);
    EXPECT_EQ(outcome.code, 1) << command;
    EXPECT_THAT(outcome.err, HasSubstr("run 1, certificate of image 3: radius is 9.9")) << command;
    EXPECT_THAT(outcome.err, HasSubstr("image 7")) << command;
    EXPECT_THAT(outcome.out, testing::Not(HasSubstr("9.9"))) << command;
    EXPECT_FALSE(outcome.out.empty()) << command << ": the other rows are shown";
  }
  EXPECT_THAT(fails(1, "merge results.sqlite --out merged.sqlite"), HasSubstr("image 3"));
  EXPECT_THAT(run("certify toy.safetensors" + kSettings).err, HasSubstr("smoothcert verify"));
  const auto removed = run("verify results.sqlite --remove");
  EXPECT_EQ(removed.code, 0);
  EXPECT_THAT(removed.out, HasSubstr("rows taken out"));
  EXPECT_THAT(run("certify toy.safetensors" + kSettings).err, HasSubstr("resumed 38 of 40"));
  EXPECT_THAT(ok("verify results.sqlite"), HasSubstr("0 rows fail"));
  EXPECT_THAT(ok("verify results.sqlite --redraw 5 --model toy.safetensors --data data"),
              HasSubstr("images drawn again, 0 of them otherwise"));
  // Counts and checksum changed alike: only drawing again finds that.
  forge(path("results.sqlite"), 0);
  EXPECT_THAT(ok("verify results.sqlite"), HasSubstr("0 rows fail"));
  const auto redrawn = run("verify results.sqlite --redraw 40 --model toy.safetensors --data data");
  EXPECT_EQ(redrawn.code, 1);
  EXPECT_THAT(redrawn.err, HasSubstr("image 0: drawn again it gives"));
}

TEST_F(CliCertify, TheSameCountsSayMore) {
  ok("certify toy.safetensors" + kSettings);
  const json one = json::parse(ok("export results.sqlite --run 1 --json --classes"));
  bool wider = false;
  for (const json& c : one.at("certificates")) {
    const auto top = c.at("top_k_radius").get<std::vector<double>>();
    ASSERT_EQ(top.size(), 9u) << "of ten classes";
    EXPECT_EQ(top[0], c.at("radius").get<double>()) << "k = 1 is Cohen's radius";
    EXPECT_TRUE(std::ranges::is_sorted(top));
    wider |= top[1] > top[0];
    const auto distances = c.at("class_distance").get<std::vector<double>>();
    ASSERT_EQ(distances.size(), 10u);
    const json& ceiling = c.at("ceiling");
    EXPECT_TRUE(ceiling.is_null() || ceiling.get<double>() >= c.at("radius").get<double>());
  }
  EXPECT_TRUE(wider);
  EXPECT_THAT(fails(2, "export results.sqlite --run 1 --classes"), HasSubstr("--json"));
}

// What certify gives, from its counts alone.
TEST_F(CliCertify, RadiiOfVotesWithoutAModel) {
  ok("certify toy.safetensors --noise gaussian" + kSettings);
  const json one = json::parse(ok("export results.sqlite --run 1 --json"));
  std::string text = "idx\tcounts\tselected\n";
  std::vector<double> radii;
  for (const json& c : one.at("certificates")) {
    const auto& first = c.at("selection_counts");
    const auto selected = std::max_element(first.begin(), first.end()) - first.begin();
    text += c.at("idx").dump() + "\t" + c.at("estimation_counts").dump() + "\t" +
            std::to_string(selected) + "\n";
    radii.push_back(c.at("radius").get<double>());
  }
  test::write_text(path("votes.tsv"), text);
  const json again = json::parse(ok("radius votes.tsv --sigma 0.5 --alpha 0.01 --json"));
  ASSERT_EQ(again.at("certificates").size(), radii.size());
  for (std::size_t i = 0; i < radii.size(); ++i)
    EXPECT_EQ(again.at("certificates")[i].at("radius").get<double>(), radii[i]) << i;
  EXPECT_THAT(ok("radius votes.tsv --sigma 0.5 --p-b counted"), HasSubstr("\tp_lower\tradius\n"));
  test::write_text(path("k.csv"), "k,n\n990,1000\n");
  EXPECT_THAT(fails(2, "radius k.csv --sigma 0.5 --p-b counted"), HasSubstr("'second'"));
  EXPECT_THAT(fails(2, "radius k.csv"), HasSubstr("--sigma"));
  EXPECT_THAT(fails(2, "radius k.csv --sigma 0.5 --stopped-early"), HasSubstr("--n"));
  EXPECT_THAT(fails(1, "radius none.csv --sigma 0.5"), HasSubstr("none.csv"));
  const json fixed = json::parse(ok("radius k.csv --sigma 0.5 --json")).at("certificates")[0];
  const json early = json::parse(ok("radius k.csv --sigma 0.5 --stopped-early --n 2000 --json"))
                         .at("certificates")[0];
  EXPECT_LT(early.at("radius").get<double>(), fixed.at("radius").get<double>())
      << "bounds that hold at any n cost something";
}

TEST_F(CliCertify, DisproofsBracketTheRadii) {
  ok("certify toy.safetensors" + kSettings);
  const std::string command =
      "disprove toy.safetensors --data data --max 6 --samples 1000 --noises 16 --steps 8";
  const json first = json::parse(ok(command + " --json"));
  const json& tried = first.at("runs").at(0);
  EXPECT_EQ(tried.at("certified"), 6);
  EXPECT_GT(tried.at("confirmed").get<int>(), 0);
  for (const json& d : tried.at("disproofs")) {
    EXPECT_EQ(d.at("samples"), 1000);
    EXPECT_NE(d.at("selected"), d.at("rival"));
    if (d.at("confirmed").get<bool>()) {
      EXPECT_GT(d.at("distance").get<double>(), d.at("radius").get<double>());
    }
  }
  const std::string before = dump("results.sqlite");
  EXPECT_THAT(before, HasSubstr("disproof image="));
  EXPECT_THAT(ok(command),
              HasSubstr("below radius"));  // tested once: nothing is drawn for them again
  EXPECT_EQ(dump("results.sqlite"), before);
  EXPECT_THAT(ok("verify results.sqlite"),
              testing::AllOf(HasSubstr("0 rows fail"), HasSubstr("disproof")));
  store::Database(path("results.sqlite"), store::Database::Access::read_write)
      .execute("CREATE TABLE kept AS SELECT * FROM disproofs; UPDATE disproofs SET distance2 = 1");
  for (const char* all : {"verify results.sqlite", "report results.sqlite --out r"}) {
    const auto lies = this->run(all);
    EXPECT_EQ(lies.code, 1) << all;
    EXPECT_THAT(lies.err, HasSubstr("disproof of image")) << all;
  }
  store::Database(path("results.sqlite"), store::Database::Access::read_write)
      .execute("DELETE FROM disproofs; INSERT INTO disproofs SELECT * FROM kept; DROP TABLE kept");
  ok("merge results.sqlite --out merged.sqlite");
  EXPECT_EQ(dump("merged.sqlite"), before);
  ok("report results.sqlite --out r");
  EXPECT_THAT(test::file_text(path("r/report.html")), HasSubstr("How tight the radii are"));
  EXPECT_TRUE(std::filesystem::exists(path("r/figures/disproofs.svg")));
  EXPECT_THAT(fails(2, "disprove toy.safetensors --data data --alpha 2"), HasSubstr("alpha"));
  EXPECT_THAT(fails(2, "disprove toy.safetensors --data data --steps abc"), HasSubstr("--steps"));
  EXPECT_THAT(fails(1, "disprove toy.safetensors --data data --store none.sqlite"),
              HasSubstr("none.sqlite"));
}

TEST_F(CliCertify, ChosenImagesAreSaidToBeChosen) {
  ok("certify toy.safetensors" + kSettings + " --only-correct");
  EXPECT_THAT(ok("export results.sqlite"), HasSubstr("only images that were right without noise"));
  EXPECT_EQ(json::parse(ok("export results.sqlite --json")).at("runs")[0].at("only_correct"), true);
  ok("report results.sqlite --out r");
  EXPECT_THAT(test::file_text(path("r/report.html")), HasSubstr("Only correct images"));
  ok("certify toy.safetensors" + kSettings);  // the others, too
  EXPECT_THAT(ok("export results.sqlite"), testing::Not(HasSubstr("only images that were right")));
}

TEST_F(CliCertify, DocumentsOfAStoreAreCheckedToo) {
  ok("certify toy.safetensors" + kSettings);
  store::Database(path("results.sqlite"), store::Database::Access::read_write)
      .execute("UPDATE documents SET json = '{' WHERE name LIKE 'subset/%'");
  const auto outcome = run("verify results.sqlite");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("document 'subset/"));
}

TEST_F(CliCertify, MoreSamplesAfterALookAreRefused) {
  ok("certify toy.safetensors" + kSettings);
  EXPECT_THAT(
      fails(2, "certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 1000 --alpha 0.01"),
      testing::AllOf(HasSubstr("the same but for n = 500"), HasSubstr("--stop-within")));
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 1000 --alpha 0.01 --seed 1");
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 1000 --alpha 0.01 --force");
}

TEST_F(CliCertify, RunsMayStopEarly) {
  const std::string sequential =
      "certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 20000 --alpha 0.01 --stop-";
  const std::string within = ok(sequential + "within 20%");
  EXPECT_THAT(within, HasSubstr("bounds that hold at any n"));
  EXPECT_THAT(ok(sequential + "at 0.1"), HasSubstr("of at most 20,000"));
  EXPECT_THAT(ok("export results.sqlite"),
              testing::AllOf(HasSubstr("stops within 20 %"), HasSubstr("stops at 0.1")));
  EXPECT_THAT(ok("report results.sqlite --tables markdown"),
              testing::AllOf(HasSubstr("stops within 20 %"), HasSubstr("stops at 0.1")));
  EXPECT_THAT(fails(2, sequential + "within 1.5"), HasSubstr("share between 0 and 1"));
  EXPECT_THAT(fails(2, sequential + "within 0"), HasSubstr("share between 0 and 1"));
  EXPECT_THAT(fails(2, sequential + "at 99"), HasSubstr("out of reach"));
  EXPECT_THAT(fails(2, sequential + "at -1"), HasSubstr("0 or a positive number"));
  EXPECT_THAT(fails(2, sequential + "at 1 --stop-within 5%"), HasSubstr("one rule"));
  EXPECT_THAT(ok("verify results.sqlite --redraw 40 --model toy.safetensors --data data"),
              HasSubstr("80 images drawn again, 0 of them otherwise"));
  ok("recompute results.sqlite --alpha 0.05");
  EXPECT_THAT(ok("verify results.sqlite"), HasSubstr("4 runs, 160 certificates"));
  // Nothing is drawn twice, and what a recomputed run holds is not taken for one drawn at that α.
  EXPECT_THAT(run(sequential + "within 20%").err, HasSubstr("resumed 40 of 40"));
  const std::string other =
      "certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 20000 "
      "--alpha 0.05 --stop-within 20%";
  EXPECT_THAT(run(other).err, testing::Not(HasSubstr("resumed")));
}

}  // namespace
}  // namespace smoothcert
