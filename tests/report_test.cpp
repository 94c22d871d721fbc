// The report: well-formed, self-contained, true to its input, whatever the input.
#include "smoothcert/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "markup_support.hpp"
#include "report/accuracy_chart.hpp"
#include "report/analysis_tables.hpp"
#include "report/figures.hpp"
#include "report/sentences.hpp"
#include "report/study_tables.hpp"
#include "report_support.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"
#include "util/atomic_file.hpp"
#include "util/format_number.hpp"

namespace smoothcert {
namespace {

using ::testing::HasSubstr;
using testing::markup_error;
using ::testing::Not;
using testing::sample_study;
using testing::visible_text;

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

std::string file_text(const std::filesystem::path& file) {
  const auto bytes = read_file(file);
  return {bytes.begin(), bytes.end()};
}

/// No number anywhere in markup may be NaN or infinite: browsers drop the element silently.
void expect_no_nan(const std::string& html) {
  for (const char* bad : {"nan", "inf "}) {
    std::size_t at = 0;
    while ((at = html.find(bad, at)) != std::string::npos) {
      const std::string around = html.substr(at < 20 ? 0 : at - 20, 40);
      const bool digit_before = at > 0 && std::isalpha(static_cast<unsigned char>(html[at - 1]));
      EXPECT_TRUE(digit_before || html.compare(at, 10, "nan") > 0) << around;
      EXPECT_EQ(around.find("\"nan"), std::string::npos) << around;
      at += 3;
    }
  }
}

TEST(Report, IsWellFormedAndSelfContained) {
  const std::string html = report_html(sample_study());
  EXPECT_EQ(markup_error(html), "");
  for (const char* outside :
       {"<link", "@import", "url(", "src=\"/", "src=\"http", "fetch(", "XMLHttpRequest", "import("})
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  // Addresses are for people to follow: in links, and in the namespace the script draws with.
  for (std::size_t at = 0; (at = html.find("http", at)) != std::string::npos; ++at) {
    const std::string before = html.substr(at < 17 ? 0 : at - 17, std::min<std::size_t>(at, 17));
    EXPECT_TRUE(before.ends_with("<a href=\"") || before.ends_with("createElementNS('"))
        << html.substr(at - 17, 60);
  }
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(html, HasSubstr("width=device-width"));
}

TEST(Report, IsTheSameForTheSameStudy) {
  EXPECT_EQ(report_html(sample_study(40)), report_html(sample_study(40)));
}

TEST(Report, EveryPictureHasATextAndEveryChartAName) {
  const std::string html = report_html(sample_study(40));
  for (std::size_t at = 0; (at = html.find("<img ", at)) != std::string::npos; ++at)
    EXPECT_EQ(html.compare(at, 10, "<img alt=\""), 0);
  for (std::size_t at = 0; (at = html.find("<svg ", at)) != std::string::npos; ++at) {
    const std::string tag = html.substr(at, html.find('>', at) - at);
    EXPECT_THAT(tag, HasSubstr("role=\"img\""));
    EXPECT_THAT(tag, HasSubstr("aria-label=\""));
    EXPECT_THAT(tag, Not(HasSubstr("aria-label=\"\"")));
  }
}

TEST(Report, ShowsTheNumbersOfTheStudy) {
  const StudyResult study = sample_study();
  const std::string text = visible_text(report_html(study));
  for (const StudyModel& m : study.models) {
    EXPECT_THAT(text, HasSubstr(format_count(m.summary.correct_certified)));
    EXPECT_THAT(text, HasSubstr(format_down(m.summary.avg_radius_certified, 4)));
    EXPECT_THAT(text, HasSubstr(format_down(m.summary.avg_radius_correct, 4)));
    EXPECT_THAT(text, HasSubstr(format_down(m.summary.acr, 4) + " ± "));
    EXPECT_THAT(text, HasSubstr(format_percent(m.clean_accuracy, 2)));
    EXPECT_THAT(text, HasSubstr(m.hash));
    for (const AttackReport& a : m.attacks) {
      const double n = static_cast<double>(a.images);
      EXPECT_THAT(text, HasSubstr(format_percent(static_cast<double>(a.correct_worst) / n, 2)));
      EXPECT_THAT(text,
                  HasSubstr(format_percent(static_cast<double>(a.correct_cross_entropy) / n, 2)));
    }
  }
  for (const auto& vote : study.demonstrations[0].votes) {
    EXPECT_THAT(text, HasSubstr(format_down(vote.certificate.p_lower, 6)));
    EXPECT_THAT(text, HasSubstr(format_down(vote.certificate.radius, 4)));
  }
  EXPECT_THAT(text, HasSubstr(study.command));
  EXPECT_THAT(text, HasSubstr(study.train_hash));
  EXPECT_THAT(text, HasSubstr(study.test_hash));
}

TEST(Report, PublishedFiguresStandBesideMnistOnly) {
  StudyResult study = sample_study(40);
  EXPECT_THAT(visible_text(report_html(study)), HasSubstr("2.0746"));
  study.stand_in_data = true;
  EXPECT_THAT(visible_text(report_html(study)), Not(HasSubstr("2.0746")));
  study.stand_in_data = false;
  study.dataset_name = "fashion-mnist";
  EXPECT_THAT(visible_text(report_html(study)), Not(HasSubstr("2.0746")));
}

TEST(Report, TheAlphaCaveatStandsWithEveryTableOfCertificates) {
  StudyResult study = sample_study(40);
  const std::string caveat = "At α = 0.05 up to one certificate in twenty may be false";
  EXPECT_THAT(joined(report::comparison_table(study).notes), HasSubstr(caveat));
  EXPECT_THAT(report_tables(study, TableFormat::markdown), HasSubstr(caveat));
  EXPECT_THAT(report::alpha_caveat(0.001), HasSubstr("one certificate in 1,000"));
  EXPECT_THAT(report::alpha_caveat(0.001), HasSubstr("99.9"));
}

TEST(Report, FindingsFollowTheFigures) {
  StudyResult study = sample_study();
  std::string text = joined(report::findings(study));
  EXPECT_THAT(text, HasSubstr("The smoothing model certifies the right class for " +
                              format_count(study.models[2].summary.correct_certified)));
  EXPECT_THAT(text, HasSubstr("answers class 8"));
  EXPECT_THAT(text, HasSubstr("gradient masking"));

  // With the smoothing model's radii the largest and honest attacks, neither sentence may stay.
  study.models[2].summary.avg_radius_certified = 9;
  for (StudyModel& m : study.models) m.attacks.clear();
  std::swap(study.models[0].summary, study.models[1].summary);
  text = joined(report::findings(study));
  EXPECT_THAT(text, Not(HasSubstr("larger mean radius")));
  EXPECT_THAT(text, Not(HasSubstr("masking")));

  study.models[0].summary.correct_certified = study.models[0].summary.images;
  EXPECT_THAT(joined(report::findings(study)),
              HasSubstr("The normal model certifies the right class"));
}

TEST(Report, BannersSayWhatMustNotBeOverlooked) {
  StudyResult study = sample_study(40);
  EXPECT_THAT(joined(report::warnings(study)), HasSubstr("40 of 10,000 test images"));
  EXPECT_THAT(joined(report::warnings(study)), Not(HasSubstr("drawn by the program")));
  study.certified_images = study.test_images;
  study.subset_note.clear();
  EXPECT_TRUE(report::warnings(study).empty());
  study.stand_in_data = true;
  study.certify.noise = NoiseLaw::gaussian;
  study.notes = {"The images were rounded."};
  const std::string text = visible_text(report_html(study));
  EXPECT_THAT(text, HasSubstr("drawn by the program"));
  EXPECT_THAT(text, HasSubstr("real arithmetic only"));
  EXPECT_THAT(text, HasSubstr("The images were rounded."));
}

TEST(Report, TextFromOutsideCannotBecomeMarkup) {
  StudyResult study = sample_study(40);
  const std::string evil = "</svg><script>alert(1)</script>&\"'\x01\xff|_$";
  study.title = study.device = study.dataset_name = study.command = study.subset_note = evil;
  study.notes = {evil};
  for (StudyModel& m : study.models) m.name += evil;
  for (auto& image : study.showcase)
    for (auto& view : image.views) view.model += evil;
  for (auto& vote : study.demonstrations[0].votes) vote.model += evil;
  const std::string html = report_html(study);
  EXPECT_EQ(markup_error(html), "");
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("</svg><script")));
  EXPECT_EQ(html.find("<script"), html.rfind("<script")) << "the page's own, and no other";
  EXPECT_THAT(html, Not(HasSubstr("\x01")));
  for (const report::Chart& chart : report::all_charts(study)) {
    EXPECT_EQ(markup_error(report::chart_document(chart, {})), "");
    EXPECT_THAT(chart.name, Not(HasSubstr("/")));
  }
  // In LaTeX every & of the text is escaped; bare ones stand only between columns.
  const std::string latex = report_tables(study, TableFormat::latex);
  EXPECT_THAT(latex, HasSubstr("\\&\"'"));
  EXPECT_THAT(latex, Not(::testing::ContainsRegex("[^\\]&\"'")));
}

TEST(Report, DegenerateStudiesStillGiveAReport) {
  StudyResult empty;
  EXPECT_EQ(markup_error(report_html(empty)), "");

  StudyResult one = sample_study(1);
  EXPECT_EQ(markup_error(report_html(one)), "");

  StudyResult abstained = sample_study(20);
  for (StudyModel& m : abstained.models) {
    for (Certificate& c : m.certificates) c.prediction = -1, c.radius = 0;
    m.summary = {.images = 20, .abstained = 20};
  }
  const std::string html = report_html(abstained);
  EXPECT_EQ(markup_error(html), "");
  EXPECT_THAT(visible_text(html), HasSubstr("None of the 20 test images was certified"));

  StudyResult diverged = sample_study(20);
  for (float& loss : diverged.models[0].history.step_loss)
    loss = std::numeric_limits<float>::quiet_NaN();
  diverged.models[1].history.step_loss = {std::numeric_limits<float>::infinity(), 1.f};
  diverged.models[2].history = {};
  EXPECT_EQ(markup_error(report_html(diverged)), "");
  expect_no_nan(report_html(diverged));

  StudyResult bare = sample_study(20);
  bare.showcase.clear();
  bare.demonstrations.clear();
  for (StudyModel& m : bare.models)
    m.attacks.clear(), m.clean_accuracy = -1, m.certificates.clear();
  EXPECT_EQ(markup_error(report_html(bare)), "");
  EXPECT_THAT(report_html(bare), Not(HasSubstr("id=\"attacks\"")));
}

TEST(Report, CurveIsCertifiedAccuracy) {
  const StudyResult study = sample_study();
  for (const StudyModel& m : study.models) {
    const report::Curve curve = report::certified_accuracy_curve(m.certificates);
    ASSERT_GT(curve.radius.size(), 10u);
    for (std::size_t i = 0; i + 1 < curve.radius.size(); ++i) {
      EXPECT_DOUBLE_EQ(curve.accuracy[i], certified_accuracy(m.certificates, curve.radius[i]));
      EXPECT_LE(curve.low[i], curve.accuracy[i]);
      EXPECT_GE(curve.high[i], curve.accuracy[i]);
    }
    EXPECT_EQ(curve.accuracy.back(), 0);  // beyond the largest radius
  }
}

TEST(Report, AnswersOnNoiseAddUp) {
  const StudyResult study = sample_study(50);
  const report::NoiseAnswers answers = report::noise_answers(study.models[0], study.classes);
  EXPECT_EQ(answers.samples, 50 * study.certify.n);
  EXPECT_EQ(answers.favourite, 8);
  std::uint64_t certified = 0;
  for (const std::uint64_t k : answers.certified) certified += k;
  EXPECT_EQ(certified, study.models[0].summary.wrong + study.models[0].summary.correct_certified);
}

TEST(Report, WritesAFolder) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "smoothcert-report-test";
  std::filesystem::remove_all(folder);
  const ReportFiles files = write_report(sample_study(40), folder);
  EXPECT_EQ(markup_error(file_text(files.html)), "");
  EXPECT_GE(files.figures.size(), 20u);
  std::size_t charts = 0, images = 0, pdfs = 0;
  for (const auto& file : files.figures) {
    const std::string text = file_text(file);
    if (file.extension() == ".svg") {
      ++charts;
      EXPECT_EQ(markup_error(text), "") << file;
      EXPECT_THAT(text, Not(HasSubstr("var(--"))) << "a standalone figure has colours of its own";
    } else if (file.extension() == ".pdf") {
      ++pdfs;
      EXPECT_EQ(text.substr(0, 5), "%PDF-") << file;
    } else {
      ++images;
      EXPECT_EQ(text.substr(0, 8), "\x89PNG\r\n\x1a\n") << file;
    }
  }
  EXPECT_GE(charts, 10u);
  if (files.note.empty()) {
    EXPECT_EQ(images, charts + 4);  // 3 adversarial panels, 1 of noisy copies
    EXPECT_EQ(pdfs, charts);
  }
  std::filesystem::remove_all(folder);
}

TEST(Report, AFolderThatCannotBeWrittenIsNamed) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "smoothcert-report-not-a-folder";
  write_file_atomically(file, std::string_view("x"));
  try {
    write_report(sample_study(1), file);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(file.filename().string()));
  }
  std::filesystem::remove(file);
}

TEST(Report, TableFormats) {
  const StudyResult study = sample_study(40);
  const std::string latex = report_tables(study, TableFormat::latex);
  EXPECT_THAT(latex, HasSubstr("\\toprule"));
  EXPECT_THAT(latex, HasSubstr("mean radius, right or wrong"));
  EXPECT_THAT(latex, Not(HasSubstr("\\_")));
  EXPECT_THAT(latex, HasSubstr("\\usepackage{booktabs}"));
  EXPECT_THAT(latex, HasSubstr("$\\varepsilon$"));
  EXPECT_EQ(table_format_from_name("latex"), TableFormat::latex);
  EXPECT_THROW(table_format_from_name("latexx"), UsageError);
  for (const auto& table : {report::comparison_table(study), report::accuracy_table(study)})
    for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.columns.size());
}

}  // namespace
}  // namespace smoothcert
