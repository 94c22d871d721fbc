// The field's files: what we write, what we read, and what pandas makes of it.
#include "smoothcert/result_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "smoothcert/analysis.hpp"
#include "smoothcert/predict.hpp"
#include "smoothcert/results.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::TemporaryFolder;
using testing::HasSubstr;

Certificate certificate(std::uint32_t image, int label, int prediction, double radius,
                        double seconds = 0) {
  Certificate c;
  c.image = image;
  c.label = static_cast<Label>(label);
  c.prediction = prediction;
  c.radius = radius;
  c.seconds = seconds;
  return c;
}

TEST(ImportedResults, DecimalsOfOthersKeepTheirDigits) {
  Certificate c;
  c.prediction = 1;
  c.label = 1;
  c.radius = 0.978;
  EXPECT_EQ(acr_text(summarise_imported(std::vector{c})), "0.9780 ± –");
}

TEST(ResultFiles, DurationsAreThoseOfPython) {
  EXPECT_EQ(duration_text(0), "0:00:00.000000");
  EXPECT_EQ(duration_text(12.3456784), "0:00:12.345678");
  EXPECT_EQ(duration_text(36125.5), "10:02:05.500000");
  EXPECT_EQ(duration_text(59.9999999), "0:01:00.000000");
}

TEST(ResultFiles, WritesTheFieldsColumnsInDatasetOrder) {
  const std::vector<Certificate> certificates = {certificate(20, 3, 5, 1.23999999999, 1.5),
                                                 certificate(0, 7, 7, 2.0, 0.25),
                                                 certificate(10, 2, -1, 0.0)};
  EXPECT_EQ(certificates_tsv(certificates, false),
            "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
            "0\t7\t7\t2.0\t1\t0:00:00.250000\n"
            "10\t2\t-1\t0.0\t0\t0:00:00.000000\n"
            "20\t3\t5\t1.23999999999\t0\t0:00:01.500000\n");
  EXPECT_THAT(certificates_tsv(certificates, true), HasSubstr("20\t3\t5\t1.23\t0\t"));
  Prediction p;
  p.image = 4;
  p.label = 1;
  p.prediction = 1;
  EXPECT_EQ(predictions_tsv({p}),
            "idx\tlabel\tpredict\tcorrect\ttime\n4\t1\t1\t1\t0:00:00.000000\n");
}

TEST(ResultFiles, ReadsBackWhatItWrites) {
  TemporaryFolder folder;
  std::vector<Certificate> certificates;
  for (std::uint32_t i = 0; i < 50; ++i) {
    certificates.push_back(test::sample_certificate(i * 20, i * 0.1));
  }
  export_tsv(certificates, folder.path("a.tsv"), false);
  const ImportedResults results = import_tsv(folder.path("a.tsv"));
  EXPECT_EQ(results.name, "a");
  ASSERT_EQ(results.certificates.size(), certificates.size());
  for (std::size_t i = 0; i < certificates.size(); ++i) {
    const Certificate &a = results.certificates[i], &b = certificates[i];
    EXPECT_EQ(a.image, b.image);
    EXPECT_EQ(a.prediction, b.prediction);
    EXPECT_EQ(a.radius, b.radius);
    EXPECT_EQ(a.correct(), b.correct());
    EXPECT_NEAR(a.seconds, b.seconds, 1e-6);
  }
}

TEST(ResultFiles, ReadsPeersFiles) {
  TemporaryFolder folder;
  test::write_text(folder.path("peer"),
                   "idx\tlabel\tpredict\tradius\tcorrect\ttime\r\n"
                   "20\t9\t9\t2.56e-01\t1\t0:00:12\r\n"
                   "0\t7\t-1\t0.0\t0\t0:01:00.5\n");
  const auto read = import_tsv(folder.path("peer")).certificates;
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].image, 0u);
  EXPECT_EQ(read[0].seconds, 60.5);
  EXPECT_EQ(read[1].radius, 0.256);
  EXPECT_EQ(read[1].seconds, 12.0);
}

TEST(ResultFiles, RefusesMalformedLinesNamingThem) {
  TemporaryFolder folder;
  const auto import = [&](const std::string& body) {
    test::write_text(folder.path("f.tsv"), "idx\tlabel\tpredict\tradius\tcorrect\ttime\n" + body);
    return error_of([&] { import_tsv(folder.path("f.tsv")); });
  };
  const std::string good = "0\t7\t7\t0.5\t1\t0:00:01\n";
  EXPECT_EQ(import(good), "");
  EXPECT_THAT(import(good + "1\t7\t7\t0.5\n"), HasSubstr("line 3: expected 6"));
  EXPECT_THAT(import(good + "1\t7\t7\t0.5\t1\t0:00\tx\n"), HasSubstr("line 3: expected 6"));
  EXPECT_THAT(import("0\t7\t7\tnan\t1\t0:00:01\n"), HasSubstr("radius"));
  EXPECT_THAT(import("0\t7\t7\tinf\t1\t0:00:01\n"), HasSubstr("radius"));
  EXPECT_THAT(import("0\t7\t7\t-1\t1\t0:00:01\n"), HasSubstr("radius"));
  EXPECT_THAT(import("0\t7\tx\t1\t1\t0:00:01\n"), HasSubstr("predict is 'x'"));
  EXPECT_THAT(import("0\t65536\t7\t1\t1\t0:00:01\n"), HasSubstr("label is '65536'"));
  EXPECT_THAT(import("0\t7\t6\t1\t1\t0:00:01\n"), HasSubstr("correct is 1"));
  EXPECT_THAT(import("0\t7\t-1\t1\t0\t0:00:01\n"), HasSubstr("abstention with a radius"));
  EXPECT_THAT(import(good + good), HasSubstr("idx 0 appears twice"));
  EXPECT_EQ(import(""), "") << "a header alone is a file without images";
  test::write_text(folder.path("g.tsv"), "idx,label\n");
  EXPECT_THAT(error_of([&] { import_tsv(folder.path("g.tsv")); }), HasSubstr("first line must be"));
  EXPECT_THAT(error_of([&] { import_tsv(folder.path("none.tsv")); }), HasSubstr("none.tsv"));
}

// What published result files look like (field-trials of issue 10).
TEST(ResultFiles, ReadsWhatIsPublished) {
  TemporaryFolder folder;
  const auto read = [&](const std::string& name, const std::string& body) {
    test::write_text(folder.path(name), "idx\tlabel\tpredict\tradius\tcorrect\ttime\n" + body);
    return import_tsv(folder.path(name));
  };
  const auto imagenet = read("sigma_0.50",
                             "12800\t256\t256\t0.978\t1\t0:02:29.825671\n"
                             "12900\t999\t998\t0.5\t0\t1 day, 2:03:04\n");
  EXPECT_EQ(imagenet.name, "sigma_0.50") << "0.50 is no ending";
  EXPECT_EQ(imagenet.certificates.at(0).label, 256);
  EXPECT_TRUE(imagenet.certificates.at(0).correct());
  EXPECT_NEAR(imagenet.certificates.at(0).seconds, 149.825671, 1e-9);
  EXPECT_EQ(imagenet.certificates.at(1).label, 999);
  EXPECT_EQ(imagenet.certificates.at(1).seconds, 93784);
  EXPECT_TRUE(imagenet.notes.empty());
  EXPECT_TRUE(std::filesystem::path(imagenet.origin).is_absolute());

  const auto total = read("total.tsv",
                          "0\t3\t3\t0.5\t1\t1\n1\t4\t4\t0.5\t2\t15.4\n"
                          "2\t5\t5\t0.5\t3\t2 days, 0:00:01.5\n"
                          "3\t5\t4\t0.5\t3\tsoon\n");
  ASSERT_EQ(total.notes.size(), 2u);
  EXPECT_THAT(total.notes[0], HasSubstr("running total"));
  EXPECT_THAT(total.notes[1], HasSubstr("1 of 4 times"));
  EXPECT_TRUE(total.certificates.at(2).correct());
  EXPECT_FALSE(total.certificates.at(3).correct());
  EXPECT_EQ(total.certificates.at(1).seconds, 15.4);
  EXPECT_EQ(total.certificates.at(2).seconds, 172801.5);
  EXPECT_TRUE(std::isnan(total.certificates.at(3).seconds));
  EXPECT_EQ(duration_text(total.certificates.at(3).seconds), "");

  const auto resumed = read("r.tsv", "7\t3\t3\t0.5\t5\t0:00:01\n8\t4\t1\t0.5\t5\t0:00:01\n");
  EXPECT_TRUE(resumed.certificates.at(0).correct());
  EXPECT_FALSE(resumed.certificates.at(1).correct());
  EXPECT_NE(error_of([&] { read("bad", "0\t3\t3\t0.5\t1\t1\n1\t4\t4\t0.5\t3\t1\n"); }), "");
  EXPECT_TRUE(read("empty.tsv", "").certificates.empty());

  const auto store = ResultsStore::open(folder.path("s.sqlite"), ResultsStore::Access::read_write);
  put_imported(*store, total);
  const auto back = imported_results(*store).at(0);
  EXPECT_EQ(back.certificates.at(1).seconds, 15.4);
  EXPECT_TRUE(std::isnan(back.certificates.at(3).seconds));
}

TEST(ResultFiles, CommasAreReadBackToo) {
  TemporaryFolder folder;
  std::vector<Certificate> certificates;
  for (std::uint32_t i = 0; i < 9; ++i) certificates.push_back(test::sample_certificate(i));
  const std::string csv = certificates_csv(certificates, false);
  EXPECT_THAT(csv, testing::StartsWith("idx,label,predict,radius,correct,time\n"));
  test::write_text(folder.path("a.csv"), csv);
  const auto read = import_tsv(folder.path("a.csv"));
  EXPECT_EQ(read.name, "a");
  ASSERT_EQ(read.certificates.size(), 9u);
  for (std::size_t i = 0; i < 9; ++i)
    EXPECT_EQ(read.certificates[i].radius, certificates[i].radius);
}

// The analysis that the field's scripts run, unchanged, beside ours.
TEST(ResultFiles, PandasReadsTheFile) {
  if (std::system("/usr/bin/python3 -c 'import pandas' 2>/dev/null") != 0) {
    GTEST_SKIP() << "/usr/bin/python3 has no pandas";
  }
  TemporaryFolder folder;
  std::vector<Certificate> certificates;
  std::string expected;
  for (std::uint32_t i = 0; i < 200; ++i) certificates.push_back(test::sample_certificate(i));
  const double radii[] = {0.0, 0.2, 0.25, 0.3, 0.32, 5.0};
  for (double r : radii) {
    int count = 0;
    for (const Certificate& c : certificates) count += c.correct() && c.radius >= r ? 1 : 0;
    expected += std::to_string(count) + "\n";
  }
  export_tsv(certificates, folder.path("a.tsv"), false);
  test::write_text(folder.path("a.py"),
                   "import sys, pandas as pd\n"
                   "df = pd.read_csv(sys.argv[1], delimiter='\\t')\n"
                   "for r in (0.0, 0.2, 0.25, 0.3, 0.32, 5.0):\n"
                   "    print(round((df['correct'] & (df['radius'] >= r)).mean() * 200))\n");
  const std::string command = "/usr/bin/python3 " + folder.path("a.py").string() + " " +
                              folder.path("a.tsv").string() + " > " + folder.path("out").string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(test::file_text(folder.path("out")), expected);
}

}  // namespace
}  // namespace smoothcert
