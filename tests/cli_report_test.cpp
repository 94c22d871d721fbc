// report, through the program: stores, peers, tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli_support.hpp"
#include "places_support.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CliReport : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    write_toy_study();
    ok("certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 500 --alpha 0.01 --store "
       "s.sqlite --tsv own.tsv");
  }
};

TEST_F(CliReport, OfAStore) {
  EXPECT_THAT(ok("report s.sqlite"), HasSubstr("report: s-report/report.html"));
  EXPECT_THAT(test::file_text(path("s-report/report.html")), HasSubstr("<!DOCTYPE html>"));
  EXPECT_TRUE(std::filesystem::exists(path("s-report/figures/certified-accuracy.svg")));
  const json report = json::parse(ok("report s.sqlite --out elsewhere --json"));
  EXPECT_EQ(report.at("report"), "elsewhere/report.html");
  EXPECT_EQ(run("report s.sqlite --quiet").err, "");
}

TEST_F(CliReport, WithPeers) {
  ok("report s.sqlite --peer own.tsv --peer Theirs=own.tsv");
  const std::string html = test::file_text(path("s-report/report.html"));
  EXPECT_THAT(html, HasSubstr("Theirs"));
  EXPECT_THAT(html, HasSubstr(">own<"));
  ok("import own.tsv --name Stored --store s.sqlite");
  EXPECT_THAT(ok("report s.sqlite --tables markdown"), HasSubstr("Stored"));
}

TEST_F(CliReport, OfAFolderWithAStore) {
  const auto report = [&](const std::string& folder) {
    return json::parse(ok("report " + folder + " --json")).at("report").get<std::string>();
  };
  std::filesystem::create_directory(path("f"));
  for (const char* command : {"report f", "export f", "recompute f --alpha 0.2", "merge f"})
    EXPECT_THAT(fails(1, command), HasSubstr("f: there is no results store in this folder"))
        << command;
  std::filesystem::copy_file(path("s.sqlite"), path("f/other.sqlite"));  // the only one
  EXPECT_EQ(report("f"), "f/other-report/report.html");
  EXPECT_THAT(ok("export f"), HasSubstr("toy"));
  ok("recompute f --alpha 0.2");
  EXPECT_EQ(json::parse(ok("merge f --out merged.sqlite --json")).at("runs"), 2);
  std::filesystem::copy_file(path("s.sqlite"), path("f/more.sqlite"));
  for (const char* command : {"report f", "export f", "recompute f --alpha 0.3", "merge f"})
    EXPECT_THAT(fails(2, command),
                HasSubstr("f: which of the 2 results stores in this folder (more.sqlite, "
                          "other.sqlite)?"))
        << command;
  std::filesystem::copy_file(path("s.sqlite"), path("f/sweep.sqlite"));
  EXPECT_EQ(report("f"), "f/sweep-report/report.html");
  std::filesystem::copy_file(path("s.sqlite"), path("f/results.sqlite"));
  EXPECT_EQ(report("f"), "f/results-report/report.html") << "certify's, not a comparison's";
  remove("merged.sqlite");
  EXPECT_EQ(report("."), "./s-report/report.html");
}

TEST_F(CliReport, TablesForAPaper) {
  EXPECT_THAT(ok("report s.sqlite --tables latex"), HasSubstr("\\bottomrule"));
  EXPECT_THAT(ok("report s.sqlite --tables markdown"), HasSubstr("| run |"));
  EXPECT_FALSE(std::filesystem::exists(path("s-report")));
  EXPECT_THAT(
      json::parse(ok("report s.sqlite --tables latex --json")).at("tables").get<std::string>(),
      HasSubstr("\\bottomrule"));
  EXPECT_THAT(fails(2, "report s.sqlite --tables latx"), HasSubstr("did you mean 'latex'?"));
}

TEST_F(CliReport, TopKRadiiAreDerivedAndNotStored) {
  const json rows =
      json::parse(ok("export s.sqlite --run 1 --json --top-k 2 --top-of label --top-from counts"));
  EXPECT_EQ(rows.at("top_k"), (json{{"k", 2}, {"of", "label"}, {"from", "counts"}}));
  const json own = json::parse(ok("export s.sqlite --run 1 --json --top-k 1"));
  const json run = json::parse(ok("export s.sqlite --run 1 --json"));
  EXPECT_TRUE(run.at("top_k").is_null());
  for (std::size_t i = 0; i < run.at("certificates").size(); ++i)
    EXPECT_EQ(own.at("certificates").at(i).at("radius"), run.at("certificates").at(i).at("radius"));
  const std::string before = ok("export s.sqlite --dump");
  const json table = json::parse(ok("recompute s.sqlite --top-k 2 --top-of label --json"));
  EXPECT_EQ(table.at("runs").at(0).at("images"), run.at("certificates").size());
  double sum = 0;
  const json labels = json::parse(ok("export s.sqlite --run 1 --json --top-k 2 --top-of label"));
  for (const json& row : labels.at("certificates")) {
    EXPECT_EQ(row.at("correct"), row.at("radius").get<double>() > 0);
    sum += row.at("radius").get<double>();
  }
  EXPECT_NEAR(table.at("runs").at(0).at("acr").get<double>(),
              sum / static_cast<double>(labels.at("certificates").size()), 1e-12);
  EXPECT_THAT(ok("recompute s.sqlite --top-k 2 --alpha 0.001"), HasSubstr("0.001"));
  EXPECT_EQ(ok("export s.sqlite --dump"), before) << "nothing is stored";
  ok("export s.sqlite --out tsv --top-k 2");
  const std::filesystem::directory_iterator files(path("tsv"));
  EXPECT_THAT(files->path().filename().string(), HasSubstr("_top2-selected-share"));
}

TEST_F(CliReport, TopKRadiiThatMakeNoSense) {
  for (const char* command : {"export s.sqlite --run 1", "recompute s.sqlite"}) {
    const std::string text = command;
    EXPECT_THAT(fails(2, text + " --top-k 0"), HasSubstr("--top-k")) << text;
    EXPECT_THAT(fails(2, text + " --top-k 1000"), HasSubstr("k is 1 … ")) << text;
    EXPECT_THAT(fails(2, text + " --top-of label"), HasSubstr("Give --top-k K as well")) << text;
    EXPECT_THAT(fails(2, text + " --top-k 2 --top-of labels"), HasSubstr("did you mean 'label'?"));
    EXPECT_THAT(fails(2, text + " --top-k 2 --top-from all"), HasSubstr("--top-from")) << text;
    EXPECT_THAT(fails(2, text + " --top-k 2 --p-b counted"), HasSubstr("--p-b")) << text;
  }
  EXPECT_THAT(fails(2, "export s.sqlite --run 1 --json --classes --top-k 2"),
              HasSubstr("--classes"));
}

TEST_F(CliReport, DistancesToClassesAreInTheReport) {
  ok("report s.sqlite");
  const std::string html = test::file_text(path("s-report/report.html"));
  EXPECT_THAT(html, HasSubstr("How far the images of each label are from each class"));
  EXPECT_THAT(test::file_text(path("s-report/tables/class-distances.csv")),
              testing::StartsWith("run,label,class,images,median_distance"));
  const json report = json::parse(ok("report s.sqlite --json"));
  EXPECT_GT(report.at("analysis").at("runs").at(0).at("analysis").at("class_distances").size(), 1u);
}

// A store has no pixels: the data has to be the one that its runs are over.
TEST_F(CliReport, ShowsPicturesOfTheDataOfItsRuns) {
  EXPECT_THAT(run("report s.sqlite --pictures --data data").err,
              HasSubstr("no image is certified with another class than its label"));
  // The same images under other labels.
  std::filesystem::copy(path("data"), path("shifted"));
  std::string labels = test::file_text(path("shifted/t10k-labels-idx1-ubyte"));
  constexpr std::size_t kHeader = 8;
  for (std::size_t i = kHeader; i < labels.size(); ++i)
    labels[i] = static_cast<char>((labels[i] + 1) % 10);
  test::write_text(path("shifted/t10k-labels-idx1-ubyte"), labels);
  ok("certify toy.safetensors --data shifted --sigma 0.5 --n0 50 --n 500 --alpha 0.01 --no-checks "
     "--store w.sqlite");
  ok("report w.sqlite --pictures --data shifted");
  const std::string html = test::file_text(path("w-report/report.html"));
  EXPECT_THAT(html, HasSubstr("Robustly wrong: certified images"));
  EXPECT_THAT(html, HasSubstr("data:image/png;base64,"));
  EXPECT_THAT(fails(2, "report w.sqlite --pictures --data data"),
              HasSubstr("--pictures: no run here is over"));
  EXPECT_THAT(fails(2, "report s.sqlite --pictures --data digits"),
              HasSubstr("--pictures: no run here is over digits"));
  EXPECT_THAT(fails(2, "report s.sqlite --data data"), HasSubstr("for --pictures only"));
  EXPECT_THAT(fails(2, "report s.sqlite --pictures --tables latex"), HasSubstr("--tables"));
}

TEST_F(CliReport, SaysWhatIsMissing) {
  EXPECT_THAT(fails(1, "report none.sqlite"), HasSubstr("there is no results store 'none.sqlite'"));
  EXPECT_THAT(fails(1, "report"), HasSubstr("there is no results store 'smoothcert-report'"));
  EXPECT_THAT(fails(1, "report s.sqlite --peer none.tsv"), HasSubstr("none.tsv"));
}

}  // namespace
}  // namespace smoothcert
