// Charts as SVG, and how text and pixels get into a report unharmed.
#include "report/svg_chart.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <cmath>

#include "markup_support.hpp"
#include "report/escape.hpp"
#include "report/image_panel.hpp"
#include "report/rasterise.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::report {
namespace {

using smoothcert::testing::markup_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Series line(std::vector<double> x, std::vector<double> y) {
  Series s;
  s.label = "a";
  s.x = std::move(x);
  s.y = std::move(y);
  return s;
}

TEST(SvgChart, NiceTicks) {
  EXPECT_THAT(nice_ticks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_EQ(nice_ticks(0, 1, 4).size(), 5u);
  EXPECT_EQ(nice_ticks(3, 3, 4).size(), 1u);
  EXPECT_EQ(nice_ticks(0, std::nan(""), 4).size(), 1u);
  for (const double high : {1e-9, 0.37, 42.0, 7e12}) {
    const auto ticks = nice_ticks(0, high, 5);
    EXPECT_GE(ticks.size(), 3u) << high;
    EXPECT_LE(ticks.size(), 7u) << high;
    EXPECT_LE(ticks.back(), high * (1 + 1e-9));
  }
}

TEST(SvgChart, TickLabelsAreExact) {
  Chart chart;
  chart.x = {.label = "x", .low = 0, .high = 1, .percent = false, .categories = {}};
  chart.series = {line({0, 1}, {0, 1})};
  const std::string svg = render_chart(chart, {400, 300});
  EXPECT_THAT(svg, HasSubstr(">0.25<"));  // a step of 0.25 must not be shown as 0.3
  EXPECT_THAT(svg, HasSubstr(">0.75<"));
}

TEST(SvgChart, DrawsTheDataWhereTheAxesSay) {
  Chart chart;
  chart.x = {.label = {}, .low = 0, .high = 10, .percent = false, .categories = {}};
  chart.y = {.label = {}, .low = 0, .high = 1, .percent = false, .categories = {}};
  chart.series = {line({0, 10}, {0, 1})};
  const std::string svg = render_chart(chart, {400, 300});
  // The line must start at the axes' origin and end at the last grid line's end.
  const std::size_t at = svg.rfind("<path class=\"line s0\" d=\"M");
  double x0, y0, x1, y1;
  ASSERT_EQ(std::sscanf(svg.c_str() + at, "<path class=\"line s0\" d=\"M%lf %lfL%lf %lf", &x0, &y0,
                        &x1, &y1),
            4);
  const std::size_t axis = svg.find("<path class=\"axis\" d=\"M");
  double left, bottom, right;
  ASSERT_EQ(std::sscanf(svg.c_str() + axis, "<path class=\"axis\" d=\"M%lf %lfH%lf", &left, &bottom,
                        &right),
            3);
  EXPECT_EQ(x0, left);
  EXPECT_EQ(y0, bottom);
  EXPECT_EQ(x1, right);
  EXPECT_LT(y1, y0);
}

TEST(SvgChart, AHugeChartIsDrawnSmaller) {
  if (!rasteriser_missing().empty()) GTEST_SKIP() << rasteriser_missing();
  Chart chart;
  for (int i = 0; i < 60; ++i) {
    chart.series.push_back(line({0, 1}, {0, 1}));
    chart.series.back().label = "name";
  }
  EXPECT_GT(rasterise(chart_document(chart, {60, 40}), 40).size(), 1000u);  // cairo would refuse
}

TEST(SvgChart, ALongLegendLeavesRoomForThePlot) {
  Chart chart;
  chart.x = {.label = "r", .low = 0, .high = 1, .percent = false, .categories = {}};
  chart.y = {.label = "y", .low = 0, .high = 1, .percent = false, .categories = {}};
  const auto plot_height = [&] {
    const std::string svg = render_chart(chart, {400, 300});
    double left = 0, top = 1e9, bottom = 0;
    for (std::size_t at = 0; (at = svg.find("\"grid\" d=\"M", at)) != std::string::npos; ++at) {
      double y = 0;
      EXPECT_EQ(std::sscanf(svg.c_str() + at, "\"grid\" d=\"M%lf %lf", &left, &y), 2);
      top = std::min(top, y);
      bottom = std::max(bottom, y);
    }
    double height = 0;
    const std::size_t at = svg.find("viewBox=\"0 0 ");
    EXPECT_EQ(std::sscanf(svg.c_str() + at, "viewBox=\"0 0 400 %lf", &height), 1);
    EXPECT_LT(bottom, height);
    return bottom - top;
  };
  chart.series = {line({0, 1}, {0, 1})};
  const double one = plot_height();
  for (int i = 0; i < 40; ++i) {
    chart.series.push_back(line({0, 1}, {0, 1}));
    chart.series.back().label = "a model, σ = 0.25, n = 100,000, α = 0.001";
  }
  EXPECT_GT(plot_height(), 0.6 * one);
  // A name that is wider than the chart continues on the next line.
  chart.series.resize(1);
  chart.series[0].label =
      "a model with a rather long name, σ = 0.25, n = 100,000, α = 0.001, seed 12345";
  EXPECT_THAT(render_chart(chart, {400, 300}),
              HasSubstr(">a model with a rather long name, σ = 0.25, </text>"));
}

TEST(SvgChart, WhatIsNotFiniteLeavesAGap) {
  Chart chart;
  chart.series = {line({0, 1, 2, 3, 4}, {0, 1, std::nan(""), 1, HUGE_VAL})};
  Series band = line({0, 1}, {std::nan(""), 0});
  band.mark = Mark::band;
  band.y2 = {1, 1};
  chart.series.push_back(band);
  const std::string svg = render_chart(chart, {});
  EXPECT_EQ(markup_error(svg), "");
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(SvgChart, EmptyAndFlatChartsAreCharts) {
  Chart chart;
  EXPECT_EQ(markup_error(chart_document(chart, {})), "");
  chart.series = {line({}, {})};
  EXPECT_EQ(markup_error(chart_document(chart, {})), "");
  chart.series = {line({2}, {5})};
  EXPECT_THAT(chart_document(chart, {}), Not(HasSubstr("nan")));
  chart.series = {line({1, 1}, {0, 0})};
  EXPECT_THAT(chart_document(chart, {}), Not(HasSubstr("nan")));
}

TEST(SvgChart, StylesDifferWithoutColour) {
  const std::string css = chart_css(light_palette());
  EXPECT_THAT(css, HasSubstr(".line.s0{stroke-dasharray:none}"));
  EXPECT_THAT(css, HasSubstr(".line.s1{stroke-dasharray:7 3}"));
}

TEST(Escape, MarkupLatexMarkdown) {
  EXPECT_EQ(xml("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  EXPECT_EQ(xml("σ\xff\x02z"), "σ\xEF\xBF\xBD\xEF\xBF\xBDz");
  EXPECT_EQ(xml("\xC3"), "\xEF\xBF\xBD");     // cut short
  EXPECT_EQ(xml("\xED\xA0\x80").size(), 9u);  // a surrogate: three bytes replaced
  EXPECT_EQ(latex("50% & σ_1"), "50\\% \\& $\\sigma$\\_1");
  EXPECT_EQ(markdown("a|b_c"), "a\\|b\\_c");
  EXPECT_EQ(slug("../Evil Name!"), "evil-name");
  EXPECT_EQ(slug("σ"), "figure");
}

TEST(ImagePanel, PixelsSurvive) {
  const ImageShape shape{1, 2, 3};
  const std::vector<std::uint8_t> image = {0, 50, 100, 150, 200, 255};
  const std::vector<std::uint8_t> bytes = png(image, shape, 2);
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  ASSERT_TRUE(png_image_begin_read_from_memory(&header, bytes.data(), bytes.size()));
  EXPECT_EQ(header.width, 6u);
  EXPECT_EQ(header.height, 4u);
  header.format = PNG_FORMAT_GRAY;
  std::vector<std::uint8_t> pixels(24);
  ASSERT_TRUE(png_image_finish_read(&header, nullptr, pixels.data(), 0, nullptr));
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 6; ++x) EXPECT_EQ(pixels[y * 6 + x], image[y / 2 * 3 + x / 2]);
  EXPECT_THROW(png(std::vector<std::uint8_t>(5), shape, 1), Error);
}

TEST(ImagePanel, DataUri) {
  const std::vector<std::uint8_t> foob = {'f', 'o', 'o', 'b'};
  EXPECT_EQ(data_uri(foob), "data:image/png;base64,Zm9vYg==");
  EXPECT_EQ(data_uri(std::span(foob).first(3)), "data:image/png;base64,Zm9v");
}

TEST(Rasterise, DrawsAChart) {
  if (!rasteriser_missing().empty()) GTEST_SKIP() << rasteriser_missing();
  Chart chart;
  chart.series = {line({0, 1}, {0, 1})};
  const auto bytes = rasterise(chart_document(chart, {300, 200}), 2);
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  ASSERT_TRUE(png_image_begin_read_from_memory(&header, bytes.data(), bytes.size()));
  EXPECT_EQ(header.width, 600u);
  EXPECT_EQ(header.height, 400u);
  header.format = PNG_FORMAT_RGB;
  std::vector<std::uint8_t> pixels(600 * 400 * 3);
  ASSERT_TRUE(png_image_finish_read(&header, nullptr, pixels.data(), 0, nullptr));
  int blue = 0;  // the first series' colour, #0b62a8
  for (std::size_t i = 0; i < pixels.size(); i += 3)
    blue += pixels[i] == 0x0b && pixels[i + 1] == 0x62 && pixels[i + 2] == 0xa8;
  EXPECT_GT(blue, 300);
  EXPECT_THROW(rasterise("not svg", 1), Error);
}

}  // namespace
}  // namespace smoothcert::report
