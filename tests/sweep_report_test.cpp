// The report of a store: names, tables, warnings, and that nothing from outside breaks the page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "markup_support.hpp"
#include "report/analysis_tables.hpp"
#include "report/sweep_tables.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/report.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/statistics.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::sample_settings;
using test::TemporaryFolder;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Access = ResultsStore::Access;

// k of 1000 votes for class 0.
Certificate certificate(std::uint32_t image, std::uint64_t k, Label label, double alpha) {
  return make_certificate(image, label, {{100, 0, 0}, 0}, {{k, 1000 - k, 0}, 0}, {0.5, alpha});
}

void add_run(ResultsStore& store, RunSettings settings, const std::vector<std::uint64_t>& votes) {
  const RunInfo run = store.find_or_create_run(settings);
  for (std::uint32_t i = 0; i < votes.size(); ++i)
    store.add_certificate(run.id, certificate(i, votes[i], i == 1 ? 2 : 0, settings.certify.alpha));
}

Saturation saturation_of(const ReportedRun& run) {
  return saturation(run.certificates, run.settings.certify, run.settings.shape);
}

class SweepReport : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = ResultsStore::open(folder_.path("s.sqlite"), Access::read_write);
    RunSettings settings = sample_settings("gauss");
    add_run(*store, settings, {1000, 900, 510, 800});  // ceiling, wrong, abstained, right
    settings.certify.alpha = 0.05;
    add_run(*store, settings, {1000, 900, 600, 800});
  }
  SweepResult sweep() const { return sweep_of_store(folder_.path("s.sqlite")); }
  TemporaryFolder folder_;
};

TEST_F(SweepReport, NamesRunsByWhatTellsThemApart) {
  const SweepResult result = sweep();
  ASSERT_EQ(result.runs.size(), 2u);
  EXPECT_EQ(result.runs[0].name, "gauss, σ = 0.5, α = 0.001");
  EXPECT_EQ(result.runs[1].name, "gauss, σ = 0.5, α = 0.05");
}

TEST_F(SweepReport, TablesAddUp) {
  const SweepResult result = sweep();
  const report::Table acr = report::acr_table(result);
  EXPECT_THAT(acr.rows.at(0), ::testing::Contains("50.0"));  // 2 of 4 right
  EXPECT_THAT(acr.rows.at(0), ::testing::Contains("25.0"));  // one wrong, one abstained
  EXPECT_EQ(saturation_of(result.runs[0]).images, 1u);
  const double ceiling = complement_radius(clopper_pearson_lower(1000, 1000, 0.001).q, 0.5);
  EXPECT_EQ(saturation_of(result.runs[0]).ceiling, ceiling);
  const auto radii = report::table_radii(report::run_views(result));
  EXPECT_EQ(radii.front(), 0);
  EXPECT_LE(radii.size(), 9u);
  EXPECT_LE(radii.back(), saturation_of(result.runs[1]).ceiling);
  const report::Table radius = report::radius_table(report::run_views(result));
  EXPECT_EQ(radius.rows.at(0).at(1), "50.0");
  EXPECT_EQ(radius.columns.size(), radii.size() + 1);
}

TEST_F(SweepReport, PlotsPeersBesideOurs) {
  write_text(folder_.path("peer.tsv"),
             "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t1\t1\t1.5\t1\t0:00:00.1\n"
             "1\t1\t0\t0.5\t0\t0:00:00.1\n");
  SweepResult result = sweep();
  add_peer(result, folder_.path("peer.tsv"), "<b>Peer</b>");
  add_peer(result, folder_.path("peer.tsv"));
  add_peer(result, folder_.path("peer.tsv"));
  EXPECT_EQ(result.runs.at(3).name, "peer");
  EXPECT_EQ(result.runs.at(4).name, "peer (2)");
  const std::string html = sweep_report_html(result);
  EXPECT_EQ(testing::markup_error(html), "");
  EXPECT_THAT(html, HasSubstr("&lt;b&gt;Peer&lt;/b&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("<b>Peer")));
  EXPECT_THAT(html, HasSubstr("The runs are over 2 to 4 images"));
  EXPECT_THAT(html, HasSubstr("may be rounded up"));
  EXPECT_THAT(html, HasSubstr("At α = 0.05 up to one certificate in twenty may be false"));
  EXPECT_THAT(html, HasSubstr("At α = 0.001 up to one certificate in 1,000 may be false"));
}

TEST_F(SweepReport, ImportedResultsComeFromTheStore) {
  auto store = ResultsStore::open(folder_.path("s.sqlite"), Access::read_write);
  put_imported(*store, {"theirs", "theirs.tsv", {certificate(0, 990, 0, 0.001)}, {}});
  const SweepResult result = sweep();
  ASSERT_EQ(result.runs.size(), 3u);
  EXPECT_TRUE(result.runs[2].imported);
  EXPECT_EQ(result.runs[2].certificates.at(0).radius, certificate(0, 990, 0, 0.001).radius);
}

TEST_F(SweepReport, WritesFilesForAPaper) {
  const ReportFiles files = write_sweep_report(sweep(), folder_.path("out"));
  EXPECT_TRUE(std::filesystem::exists(folder_.path("out/report.html")));
  EXPECT_TRUE(std::filesystem::exists(folder_.path("out/figures/certified-accuracy.svg")));
  const std::string latex = sweep_tables(sweep(), TableFormat::latex);
  EXPECT_THAT(latex, HasSubstr("\\begin{tabular}"));
  EXPECT_THAT(latex, HasSubstr("\\toprule"));
  EXPECT_THAT(sweep_tables(sweep(), TableFormat::markdown), HasSubstr("| run | images |"));
}

TEST_F(SweepReport, ManyRunsGetAPlotANoiseLevel) {
  auto store = ResultsStore::open(folder_.path("s.sqlite"), Access::read_write);
  for (const double sigma : {0.25, 1.0})
    for (const std::uint64_t seed : {1u, 2u}) {
      RunSettings settings = sample_settings("gauss");
      settings.certify.sigma = sigma;
      settings.certify.seed = seed;
      add_run(*store, settings, {900, 800});
    }
  store->flush();
  write_sweep_report(sweep(), folder_.path("out"));
  for (const char* sigma : {"0-25", "0-5", "1"})
    EXPECT_TRUE(std::filesystem::exists(
        folder_.path(std::string("out/figures/certified-accuracy-sigma-") + sigma + ".svg")))
        << sigma;
}

TEST(SweepReportErrors, AnEmptyStoreSaysHowToFillIt) {
  const TemporaryFolder folder;
  ResultsStore::open(folder.path("s.sqlite"), Access::read_write);
  EXPECT_THAT(error_of([&] { sweep_of_store(folder.path("s.sqlite")); }),
              HasSubstr("holds no certificates yet"));
}

}  // namespace
}  // namespace smoothcert
