// Colours and dash patterns of the charts. The series colours are Okabe & Ito's, which people with
// any of the common colour-vision deficiencies can tell apart; dashes and markers repeat the
// distinction without colour.
#include <fmt/format.h>

#include "report/svg_chart.hpp"

namespace smoothcert::report {
namespace {

constexpr const char* kDashes[kStyles] = {"none",    "7 3",  "14 3 2 3 2 3", "2 3",
                                          "9 3 2 3", "12 4", "4 2 4 6",      "1 2"};

}  // namespace

Palette light_palette() {
  return {.surface = "#ffffff",
          .ink = "#1c1f23",
          .muted = "#5b6169",
          .grid = "#e3e5e8",
          .accent = "#b3470a",
          .pale = "#aab6c4",
          .series = {"#0b62a8", "#c04c00", "#00795a", "#8c4a86", "#6f6300", "#444b54", "#0086a8",
                     "#a3323d"}};
}

Palette dark_palette() {
  return {.surface = "#15181c",
          .ink = "#e6e8ea",
          .muted = "#a3aab2",
          .grid = "#2d3238",
          .accent = "#ff9a5a",
          .pale = "#5a6675",
          .series = {"#62b4f5", "#ff9a5a", "#3fcea0", "#d9a0d4", "#d8c84a", "#c3c9d0", "#5fd0e8",
                     "#f28a94"}};
}

Palette variable_palette() {
  Palette palette{.surface = "var(--surface)",
                  .ink = "var(--ink)",
                  .muted = "var(--muted)",
                  .grid = "var(--grid)",
                  .accent = "var(--accent)",
                  .pale = "var(--pale)",
                  .series = {}};
  for (int i = 0; i < kStyles; ++i) palette.series.push_back(fmt::format("var(--s{})", i));
  return palette;
}

std::string palette_variables(const Palette& p) {
  std::string css = fmt::format("--surface:{};--ink:{};--muted:{};--grid:{};--accent:{};--pale:{};",
                                p.surface, p.ink, p.muted, p.grid, p.accent, p.pale);
  for (int i = 0; i < kStyles; ++i) css += fmt::format("--s{}:{};", i, p.series[i]);
  return css;
}

std::string chart_css(const Palette& p) {
  std::string css = fmt::format(
      ".chart text{{font:12px 'Helvetica Neue',Helvetica,Arial,'Liberation Sans','DejaVu Sans',"
      "sans-serif;fill:{muted}}}"
      ".chart .title{{font-weight:600;fill:{ink}}}.chart .name,.chart .value{{fill:{ink}}}"
      ".chart .value{{font-size:10.5px}}"
      ".chart .grid{{stroke:{grid};stroke-width:1;fill:none}}"
      ".chart .axis{{stroke:{muted};stroke-width:1;fill:none}}"
      ".chart .bar{{fill:{pale}}}.chart .bar-main{{fill:{accent}}}"
      ".chart .line{{fill:none;stroke-width:2;stroke-linejoin:round}}"
      ".chart .faint{{fill:none;stroke-width:1;stroke-opacity:.32;stroke-linejoin:round}}"
      ".chart .other{{fill:none;stroke:{pale};stroke-width:1;stroke-opacity:.8}}"
      ".chart .leader{{fill:none;stroke:{muted};stroke-width:.8;stroke-opacity:.7}}"
      ".chart .band{{stroke:none;fill-opacity:.17}}"
      ".chart .mark{{stroke-width:1.6}}.chart .hollow{{fill:{surface}}}",
      fmt::arg("ink", p.ink), fmt::arg("muted", p.muted), fmt::arg("grid", p.grid),
      fmt::arg("pale", p.pale), fmt::arg("accent", p.accent), fmt::arg("surface", p.surface));
  for (int i = 0; i < kStyles; ++i) {
    css += fmt::format(
        ".chart .line.s{0},.chart .faint.s{0},.chart .mark.s{0}{{stroke:{1}}}"
        ".chart .band.s{0},.chart .mark.full.s{0}{{fill:{1}}}",
        i, p.series[i]);
    css += fmt::format(".chart .line.s{}{{stroke-dasharray:{}}}", i, kDashes[i]);
  }
  return css;
}

}  // namespace smoothcert::report
