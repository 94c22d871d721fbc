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

TEST_F(CliReport, TablesForAPaper) {
  EXPECT_THAT(ok("report s.sqlite --tables latex"), HasSubstr("\\bottomrule"));
  EXPECT_THAT(ok("report s.sqlite --tables markdown"), HasSubstr("| run |"));
  EXPECT_FALSE(std::filesystem::exists(path("s-report")));
  EXPECT_THAT(fails(2, "report s.sqlite --tables latx"), HasSubstr("did you mean 'latex'?"));
}

TEST_F(CliReport, SaysWhatIsMissing) {
  EXPECT_THAT(fails(1, "report none.sqlite"), HasSubstr("there is no results store 'none.sqlite'"));
  EXPECT_THAT(fails(1, "report"), HasSubstr("smoothcert-report: no results.sqlite there"));
  EXPECT_THAT(fails(1, "report s.sqlite --peer none.tsv"), HasSubstr("none.tsv"));
}

}  // namespace
}  // namespace smoothcert
