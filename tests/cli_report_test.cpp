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

TEST_F(CliReport, SaysWhatIsMissing) {
  EXPECT_THAT(fails(1, "report none.sqlite"), HasSubstr("there is no results store 'none.sqlite'"));
  EXPECT_THAT(fails(1, "report"), HasSubstr("there is no results store 'smoothcert-report'"));
  EXPECT_THAT(fails(1, "report s.sqlite --peer none.tsv"), HasSubstr("none.tsv"));
}

}  // namespace
}  // namespace smoothcert
