// The report of a store: names, tables, warnings, and that nothing from outside breaks the page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "markup_support.hpp"
#include "report/analysis_tables.hpp"
#include "report/sweep_tables.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/more_certificates.hpp"
#include "smoothcert/report.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/statistics.hpp"
#include "store_support.hpp"
#include "util/format_number.hpp"

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
    store.add_certificate(
        run.id,
        make_certificate(i, i == 1 ? 2 : 0, {{100, 0, 0}, 0}, {{votes[i], 1000 - votes[i], 0}, 0},
                         bound_settings(settings.certify, settings.shape)));
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
  const RunSettings& first = result.runs[0].settings;
  const double ceiling = ceiling_radius(first.certify, first.shape);
  EXPECT_EQ(saturation_of(result.runs[0]).ceiling, ceiling);
  const auto radii = report::table_radii(report::run_views(result));
  EXPECT_EQ(radii.front(), 0);
  EXPECT_LE(radii.size(), 9u);
  EXPECT_LE(radii.back(), saturation_of(result.runs[1]).ceiling);
  const report::Table radius = report::radius_table(report::run_views(result));
  EXPECT_EQ(radius.rows.at(0).at(1), "50.0");
  EXPECT_EQ(radius.columns.size(), radii.size() + 1);
}

// The larger k, the larger the radius; k = 1 is the certificate itself where p_B is the complement.
TEST_F(SweepReport, SaysWhatElseTheSameVotesCertify) {
  const SweepResult result = sweep();
  const auto runs = report::run_views(result);
  const report::Table more = report::more_table(runs);
  ASSERT_EQ(more.rows.size(), 2u);
  for (std::size_t r = 0; r < 2; ++r) {
    const MoreOfRun of =
        more_of_run(*runs[r].certificates, bound_settings(*runs[r].settings, runs[r].shape));
    ASSERT_EQ(of.top_k_acr.size(), 2u);  // of three classes
    EXPECT_DOUBLE_EQ(of.top_k_acr[0], summarise(*runs[r].certificates).acr);
    EXPECT_GT(of.top_k_acr[1], of.top_k_acr[0]);
    EXPECT_GE(of.ceiling_share, 0);
    EXPECT_LT(of.ceiling_share, 1);
    EXPECT_EQ(more.rows[r][2], format_down(of.top_k_acr[1], 4));
  }
  EXPECT_THAT(sweep_report_html(result), HasSubstr("More from the same votes"));
  EXPECT_THAT(sweep_tables(result, TableFormat::markdown), HasSubstr("More from the same votes"));
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

// Means over other images compare images, not models.
TEST_F(SweepReport, ComparesOverTheCommonImages) {
  EXPECT_FALSE(report::common_table(sweep()));
  write_text(folder_.path("peer.tsv"),
             "idx\tlabel\tpredict\tradius\tcorrect\ttime\n1\t1\t1\t1.5\t1\t0:00:00.1\n"
             "900\t1\t1\t0.5\t1\t0:00:00.1\n");
  SweepResult result = sweep();
  add_peer(result, folder_.path("peer.tsv"));
  const auto table = report::common_table(result);
  ASSERT_TRUE(table);
  EXPECT_THAT(table->caption, HasSubstr("over the 1 image that all runs hold"));
  ASSERT_EQ(table->rows.size(), 3u);
  EXPECT_EQ(table->rows[2].at(1), "2");
  EXPECT_THAT(table->rows[2].at(3), ::testing::StartsWith("1.5000"));
  EXPECT_THAT(table->notes.back(), HasSubstr("1 of them have different labels"));
  for (const auto& row : table->rows) EXPECT_EQ(row.size(), table->columns.size());
  EXPECT_THAT(sweep_report_html(result), HasSubstr("this one does not"));
  EXPECT_THAT(sweep_tables(result, TableFormat::markdown), HasSubstr("its images"));
  // Image 1 has label 2 in our runs and 1 in theirs: not compared image by image.
  const auto pairs = report::compared_pairs(report::run_views(result));
  EXPECT_TRUE(pairs.pairs.empty());
  EXPECT_THAT(pairs.notes, ::testing::Contains(HasSubstr("they are about different data")));
  write_text(folder_.path("far.tsv"),
             "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
             "901\t1\t1\t0.5\t1\t0:00:00.1\n");
  add_peer(result, folder_.path("far.tsv"));
  EXPECT_THAT(report::common_table(result)->caption, HasSubstr("no image is in all of them"));
}

TEST_F(SweepReport, NamesNoBestRunAcrossSettingsThatChangeRadii) {
  std::string html = testing::visible_text(sweep_report_html(sweep()));  // two α
  EXPECT_THAT(html, HasSubstr("the runs differ in α, which"));
  EXPECT_THAT(html, HasSubstr("none is named the best"));
  EXPECT_THAT(html, Not(HasSubstr("largest average certified radius")));
  SweepResult one = sweep();
  one.runs.resize(1);
  html = testing::visible_text(sweep_report_html(one));
  EXPECT_THAT(html, HasSubstr("The average certified radius (ACR"));
}

TEST_F(SweepReport, AConstantClassifierIsNotTheWinner) {
  auto store = ResultsStore::open(folder_.path("c.sqlite"), Access::read_write);
  for (const char* name : {"constant", "honest"}) {
    const RunInfo run = store->find_or_create_run(sample_settings(name));
    for (std::uint32_t i = 0; i < 40; ++i) {
      const bool constant = std::string_view(name) == "constant";
      const auto label = static_cast<Label>(i % 3);
      StageCounts selection{{0, 0, 0}, 0}, estimation{{0, 0, 0}, 0};
      const std::size_t answer = constant ? 0 : label;
      selection.counts[answer] = 100;
      estimation.counts[answer] = constant ? 1000 : 600;
      estimation.counts[(answer + 1) % 3] = constant ? 0 : 400;
      store->add_certificate(
          run.id, make_certificate(i, label, selection, estimation,
                                   bound_settings(run.settings.certify, run.settings.shape)));
    }
  }
  store->flush();
  const SweepResult result = sweep_of_store(folder_.path("c.sqlite"));
  const auto runs = report::run_views(result);
  EXPECT_GT(summarise(*runs[0].certificates).acr, summarise(*runs[1].certificates).acr);
  const std::string text = testing::visible_text(sweep_report_html(result));
  EXPECT_THAT(text, HasSubstr("(honest, 100.0 % correct and certified)"));
  EXPECT_THAT(text,
              HasSubstr("Close to a constant classifier is constant, σ = 0.5 (class 0 in 100.0 %"));
  EXPECT_THAT(text, HasSubstr("arXiv 2410.06895"));
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

TEST_F(SweepReport, APeerWithoutImagesDoesNotStopTheOthers) {
  write_text(folder_.path("none.tsv"), "idx\tlabel\tpredict\tradius\tcorrect\ttime\n");
  SweepResult result = sweep();
  const std::size_t runs = result.runs.size();
  add_peer(result, folder_.path("none.tsv"));
  EXPECT_EQ(result.runs.size(), runs);
  EXPECT_THAT(result.left_out, ElementsAre(HasSubstr("none.tsv' holds none, and is left out")));
  EXPECT_THAT(sweep_report_html(result), HasSubstr("holds none, and is left out"));
}

TEST(SweepReportErrors, AnEmptyStoreSaysHowToFillIt) {
  const TemporaryFolder folder;
  ResultsStore::open(folder.path("s.sqlite"), Access::read_write);
  EXPECT_THAT(error_of([&] { sweep_of_store(folder.path("s.sqlite")); }),
              HasSubstr("holds no certificates yet"));
}

}  // namespace
}  // namespace smoothcert
