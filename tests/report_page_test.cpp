// The structure of a report's page: what a browser, a keyboard and a screen reader meet. Both
// reports, few runs and many.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>
#include <set>

#include "markup_support.hpp"
#include "places_support.hpp"
#include "report/accuracy_chart.hpp"
#include "report/references.hpp"
#include "report/table_files.hpp"
#include "report_support.hpp"
#include "smoothcert/report.hpp"
#include "smoothcert/summary.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::markup_error;
using ::testing::Not;
using testing::sample_study;
using testing::visible_text;

/// Opening tags called `name`, with their attributes.
std::vector<std::string> tags(const std::string& html, const std::string& name) {
  std::vector<std::string> found;
  const std::string open = "<" + name;
  for (std::size_t at = 0; (at = html.find(open, at)) != std::string::npos; ++at) {
    const char next = html[at + open.size()];
    if (next != ' ' && next != '>') continue;
    found.push_back(html.substr(at, html.find('>', at) + 1 - at));
  }
  return found;
}

std::string attribute(const std::string& tag, const std::string& name) {
  const std::size_t at = tag.find(" " + name + "=\"");
  if (at == std::string::npos) return "(none)";
  const std::size_t first = at + name.size() + 3;
  return tag.substr(first, tag.find('"', first) - first);
}

/// The elements called `name`, tags included; they must not nest.
std::vector<std::string> elements(const std::string& html, const std::string& name) {
  std::vector<std::string> found;
  const std::string open = "<" + name, close = "</" + name + ">";
  for (std::size_t at = 0; (at = html.find(open, at)) != std::string::npos;) {
    const char next = html[at + open.size()];
    if (next != ' ' && next != '>') {
      ++at;
      continue;
    }
    const std::size_t end = html.find(close, at) + close.size();
    found.push_back(html.substr(at, end - at));
    at = end;
  }
  return found;
}

/// The sample study's models as runs of a store, over and over: `count` runs at three σ.
SweepResult many_runs(std::size_t count) {
  const StudyResult study = sample_study(60);
  SweepResult sweep;
  sweep.title = "Certified robustness on MNIST";
  sweep.command = "smoothcert report s.sqlite";
  for (std::size_t i = 0; i < count; ++i) {
    ReportedRun run;
    run.settings.certify = study.certify;
    run.settings.certify.sigma = i % 3 == 0 ? 0.25 : i % 3 == 1 ? 0.5 : 1.0;
    run.settings.dataset_name = "mnist";
    run.settings.dataset_hash = study.test_hash;
    run.settings.model_name = "model" + std::to_string(i / 3);
    run.settings.model_hash = run.settings.model_name;
    run.settings.shape = study.shape;
    run.settings.classes = 10;
    run.name = run.settings.model_name + ", σ = " +
               std::string(i % 3 == 0   ? "0.25"
                           : i % 3 == 1 ? "0.5"
                                        : "1");
    run.certificates = study.models[2].certificates;
    for (Certificate& c : run.certificates) c.radius *= 1 + 0.02 * static_cast<double>(i);
    sweep.runs.push_back(std::move(run));
  }
  return sweep;
}

std::vector<std::string> pages() {
  return {report_html(sample_study(60)), sweep_report_html(many_runs(3)),
          sweep_report_html(many_runs(24)), sweep_report_html(many_runs(60))};
}

TEST(ReportPage, HasOneTitleAndHeadingsInOrder) {
  for (const std::string& html : pages()) {
    EXPECT_EQ(markup_error(html), "");
    EXPECT_THAT(html, HasSubstr("<html lang=\"en\">"));
    EXPECT_EQ(tags(html, "h1").size(), 1u);
    EXPECT_EQ(tags(html, "main").size(), 1u);
    EXPECT_EQ(tags(html, "nav").size(), 1u);
    EXPECT_LT(html.find("<h1"), html.find("<h2"));
    EXPECT_LT(html.find("<h2"), html.find("<h3"));
    EXPECT_THAT(tags(html, "h4"), IsEmpty());
  }
}

TEST(ReportPage, EveryLinkInsideThePageHasItsPlaceAndEveryIdIsUnique) {
  for (const std::string& html : pages()) {
    std::set<std::string> ids;
    static const std::regex kId(" id=\"([^\"]*)\"");
    for (std::sregex_iterator it(html.begin(), html.end(), kId), end; it != end; ++it)
      EXPECT_TRUE(ids.insert((*it)[1]).second) << (*it)[1];
    std::size_t inside = 0;
    for (const std::string& a : tags(html, "a")) {
      const std::string target = attribute(a, "href");
      if (!target.starts_with("#")) continue;
      ++inside;
      EXPECT_TRUE(ids.contains(target.substr(1))) << target;
    }
    EXPECT_GE(inside, 6u);
  }
}

TEST(ReportPage, PicturesChartsAndTablesHaveNames) {
  for (const std::string& html : pages()) {
    for (const std::string& img : tags(html, "img"))
      EXPECT_THAT(attribute(img, "alt"), Not(::testing::AnyOf("", "(none)")));
    ASSERT_FALSE(tags(html, "svg").empty());
    for (const std::string& svg : tags(html, "svg")) {
      EXPECT_EQ(attribute(svg, "role"), "img");
      EXPECT_THAT(attribute(svg, "aria-label"), Not(::testing::AnyOf("", "(none)")));
    }
    for (const std::string& figure : elements(html, "figure"))
      EXPECT_EQ(tags(figure, "figcaption").size(), 1u) << figure.substr(0, 200);
    for (const std::string& table : elements(html, "table")) {
      if (table.starts_with("<table class=\"images\"")) continue;
      for (const std::string& head : tags(table, "th"))
        EXPECT_THAT(attribute(head, "scope"), ::testing::AnyOf("col", "row", "colgroup")) << head;
    }
    // What scrolls can be reached and says what it is.
    for (const std::string& div : tags(html, "div")) {
      if (attribute(div, "class") != "scroll") continue;
      EXPECT_EQ(attribute(div, "role"), "region");
      EXPECT_EQ(attribute(div, "tabindex"), "0");
      EXPECT_THAT(attribute(div, "aria-label"), Not(::testing::AnyOf("", "(none)")));
    }
    EXPECT_THAT(html, Not(HasSubstr("tabindex=\"1")))
        << "the order of the page is the order of Tab";
  }
}

TEST(ReportPage, EverySliderHasALabelAndAPlotWithValues) {
  for (const std::string& html : pages()) {
    const auto labels = elements(html, "label");
    EXPECT_EQ(labels.size(), tags(html, "input").size());
    ASSERT_FALSE(labels.empty());
    for (const std::string& label : labels) {
      ASSERT_EQ(tags(label, "input").size(), 1u);
      EXPECT_EQ(attribute(tags(label, "input")[0], "type"), "range");
      EXPECT_THAT(visible_text(label), Not(IsEmpty()));
    }
    for (const std::string& svg : elements(html, "svg")) {
      const std::string places = attribute(tags(svg, "svg")[0], "data-places");
      if (places == "(none)") continue;
      const auto count = std::count(places.begin(), places.end(), ' ') + 1;
      std::size_t curves = 0;
      for (const std::string& path : tags(svg, "path")) {
        const std::string values = attribute(path, "data-values");
        if (values == "(none)") continue;
        ++curves;
        EXPECT_EQ(std::count(values.begin(), values.end(), '|') + 1, count);
      }
      EXPECT_GE(curves, 1u);
    }
  }
}

TEST(ReportPage, ReadersSayWhatTheCertificatesSay) {
  const StudyResult study = sample_study(60);
  const auto charts =
      report::accuracy_charts(report::charted(report::run_views(study)), "certified-accuracy", "");
  ASSERT_EQ(charts.size(), 1u);
  const report::Chart& chart = charts[0];
  std::size_t model = 0;
  for (const report::Series& s : chart.series) {
    if (s.mark != report::Mark::line) continue;
    ASSERT_EQ(s.label, study.models[model].name);
    ASSERT_EQ(s.values.size(), chart.reader.x.size());
    for (std::size_t i = 0; i < s.values.size(); ++i) {
      const double share = certified_accuracy(study.models[model].certificates, chart.reader.x[i]);
      EXPECT_NEAR(std::stod(s.values[i]), 100 * share, 0.05 + 1e-9) << chart.reader.x[i];
    }
    ++model;
  }
  EXPECT_EQ(model, 3u);
}

TEST(ReportPage, NoTwoCurvesOfAChartLookAlike) {
  for (const std::size_t count : {3u, 8u, 24u, 60u}) {
    const std::string html = sweep_report_html(many_runs(count));
    std::set<std::string> shown;
    for (const std::string& svg : elements(html, "svg")) {
      std::set<std::string> styles;
      for (const std::string& path : tags(svg, "path")) {
        if (attribute(path, "data-values") == "(none)") continue;
        EXPECT_TRUE(styles.insert(attribute(path, "class")).second) << attribute(path, "class");
        const std::string chart = attribute(tags(svg, "svg")[0], "aria-label");
        if (chart.starts_with("Certified accuracy"))
          shown.insert(chart.substr(0, chart.find(". ")) + attribute(path, "data-name"));
      }
      EXPECT_LE(styles.size(), static_cast<std::size_t>(report::kStyles));
    }
    EXPECT_GE(shown.size(), count) << "every run is in a chart";
  }
  // Styles differ in colour, dashes and marker at once.
  const std::string css = report::chart_css(report::light_palette());
  std::set<std::string> dashes, colours;
  for (int i = 0; i < report::kStyles; ++i) {
    const std::string rule = ".line.s" + std::to_string(i) + "{stroke-dasharray:";
    const std::size_t at = css.find(rule);
    ASSERT_NE(at, std::string::npos);
    dashes.insert(css.substr(at + rule.size(), css.find('}', at) - at - rule.size()));
    colours.insert(report::light_palette().series[static_cast<std::size_t>(i)]);
  }
  EXPECT_EQ(dashes.size(), static_cast<std::size_t>(report::kStyles));
  EXPECT_EQ(colours.size(), static_cast<std::size_t>(report::kStyles));
}

TEST(ReportPage, OpensWithThreeSentences) {
  for (const std::string& html : pages()) {
    const std::size_t at = html.find("class=\"abstract\"");
    const std::string text = visible_text(
        html.substr(html.find("<p>", at), html.find("</p>", at) - html.find("<p>", at)));
    static const std::regex kEnd("[.](?=\\s|$)");
    EXPECT_EQ(
        std::distance(std::sregex_iterator(text.begin(), text.end(), kEnd), std::sregex_iterator()),
        3)
        << text;
  }
}

TEST(ReportPage, LinksToItsFiles) {
  ReportFiles files;
  files.html = "/somewhere/out/report.html";
  files.figures = {"/somewhere/out/figures/a.svg", "/somewhere/out/figures/a.pdf"};
  files.data = {"/somewhere/out/tables/pairs.csv", "/somewhere/out/tables/m.tsv",
                "/somewhere/my runs#1.sqlite"};
  const std::string html = sweep_report_html(many_runs(2), &files);
  EXPECT_EQ(markup_error(html), "");
  for (const char* link : {"figures/a.svg", "figures/a.pdf", "tables/pairs.csv", "tables/m.tsv",
                           "../my%20runs%231.sqlite", "#files"})
    EXPECT_THAT(html, HasSubstr("href=\"" + std::string(link) + "\""));
  EXPECT_EQ(report::relative_link("/a/b:c/d", "/a"), "b%3Ac/d");
}

TEST(ReportPage, NamesItsSources) {
  for (const std::string& html : pages())
    for (const char* source :
         {"https://arxiv.org/abs/1902.02918", "https://arxiv.org/abs/2207.07209",
          "https://arxiv.org/abs/2410.06895"})
      EXPECT_THAT(html, HasSubstr(source));
  StudyResult study = sample_study(20);
  EXPECT_THAT(report_html(study), HasSubstr("https://github.com/xinyuejohn/Robustness"));
  study.stand_in_data = true;
  EXPECT_THAT(report_html(study), Not(HasSubstr("xinyuejohn")));
}

// The lines of docs/results-store.md that read a store from Python give the program's own figures.
TEST(ReportDocs, TheStoreIsReadFromPythonAsTheyShow) {
  if (std::system("/usr/bin/python3 -c 'import pandas' 2>/dev/null") != 0)
    GTEST_SKIP() << "/usr/bin/python3 has no pandas";
  const std::string page = test::file_text(test::source_folder() / "docs/results-store.md");
  const std::size_t first = page.find("```python\n") + 10;
  const test::TemporaryFolder folder;
  test::write_text(folder.path("read.py"), page.substr(first, page.find("```", first) - first));
  {
    auto store =
        ResultsStore::open(folder.path("results.sqlite"), ResultsStore::Access::read_write);
    const RunInfo run = store->find_or_create_run(test::sample_settings());
    for (std::uint32_t i = 0; i < 7; ++i)
      store->add_certificate(run.id, test::sample_certificate(i));
  }
  const auto store =
      ResultsStore::open(folder.path("results.sqlite"), ResultsStore::Access::read_only);
  const auto certificates = store->certificates(1);
  ASSERT_EQ(std::system(("cd '" + folder.path().string() +
                         "' && /usr/bin/python3 read.py > out.txt 2> err.txt")
                            .c_str()),
            0)
      << test::file_text(folder.path("err.txt"));
  const std::string out = test::file_text(folder.path("out.txt"));
  double acr = -1, accuracy = -1;
  ASSERT_EQ(std::sscanf(out.c_str(), "ACR %lf\ncertified accuracy at 0.5 %lf", &acr, &accuracy), 2);
  EXPECT_NEAR(acr, summarise(certificates).acr, 1e-12);
  EXPECT_NEAR(accuracy, certified_accuracy(certificates, 0.5), 1e-12);
}

TEST(TableFiles, CsvIsQuotedWhereItMustBe) {
  EXPECT_EQ(report::csv_line({"a", "b, c", "d\"e", ""}), "a,\"b, c\",\"d\"\"e\",\n");
  const SweepResult sweep = many_runs(2);
  const auto runs = report::run_views(sweep);
  for (const std::string& csv : {report::summary_csv(runs), report::accuracy_csv(runs),
                                 report::label_csv(runs), report::bound_csv(runs)}) {
    EXPECT_THAT(csv, HasSubstr("\"model0, σ = 0.25\""));
    // Every line has as many fields as the header has names.
    static const std::regex kQuoted("\"[^\"]*\"");
    const std::string plain = std::regex_replace(csv, kQuoted, "q");
    std::size_t columns = 0;
    for (std::size_t at = 0; at < plain.size();) {
      const std::size_t end = plain.find('\n', at);
      const auto fields = static_cast<std::size_t>(
          std::count(plain.begin() + static_cast<std::ptrdiff_t>(at),
                     plain.begin() + static_cast<std::ptrdiff_t>(end), ','));
      if (at == 0) columns = fields;
      EXPECT_EQ(fields, columns);
      at = end + 1;
    }
  }
}

}  // namespace
}  // namespace smoothcert
