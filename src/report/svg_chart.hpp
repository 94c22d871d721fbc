// A small SVG chart writer: lines, steps, bands and bars on linear axes. Colours come from CSS
// classes, so that one chart follows the page's theme and also stands alone in a paper.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace smoothcert::report {

enum class Mark {
  line,     ///< straight segments
  faint,    ///< straight segments, thin and pale: the raw data under a smoothed line
  context,  ///< straight segments in grey, without a name: the curves of the other charts
  steps,    ///< constant from each point to the next (right-continuous)
  band,     ///< area between y and y2
  bars,     ///< one bar a category, centred at x
};

struct Series {
  std::string label;  ///< legend entry; none when empty
  int style = 0;      ///< colour, dash pattern and marker: below kStyles
  Mark mark = Mark::line;
  std::vector<double> x, y;
  std::vector<double> y2;                ///< band: upper edge
  std::vector<std::string> point_text;   ///< bars: printed above each bar (may be empty)
  std::vector<int> highlight;            ///< bars: indices drawn in the accent colour
  std::vector<std::string> values = {};  ///< lines: what the reader shows at each Chart::reader
};

struct Axis {
  std::string label;
  double low = 0, high = 0;             ///< high ≤ low: from the data
  bool percent = false;                 ///< values in [0,1], tick labels in %
  std::vector<std::string> categories;  ///< bars: tick labels at 0, 1, 2, …
};

/// Where a page lets people read values: under the pointer, and by keyboard with a slider.
struct Reader {
  std::string quantity;   ///< what x is: "radius r"
  std::vector<double> x;  ///< ascending; Series::values belong to these
};

struct Chart {
  std::string name;         ///< file name stem, unique in a report
  std::string title;        ///< drawn above the plot where not empty
  std::string description;  ///< what a screen reader says
  Axis x, y;
  std::vector<Series> series;
  bool direct_labels = false;  ///< names beside the curves where there is room, not in a legend
  Reader reader = {};          ///< none where empty
};

struct Size {
  int width = 760, height = 400;
};

/// Colours of one theme, as CSS values ("#333" or "var(--ink)").
struct Palette {
  std::string surface, ink, muted, grid, accent, pale;
  std::vector<std::string> series;
};
/// Colours, dash patterns and markers; no two styles share one of them. A chart with more lines has
/// to be split.
inline constexpr int kStyles = 8;

Palette light_palette();
Palette dark_palette();
Palette variable_palette();  ///< var(--…) names, for a page that defines them

/// CSS rules for charts drawn with `palette`, without the <style> tag.
std::string chart_css(const Palette& palette);
/// "--ink:#222;…" declarations that define variable_palette()'s names.
std::string palette_variables(const Palette& palette);

/// An <svg> element for use inside a page with chart_css(). Points that are not finite are left
/// out. It becomes higher than `size` where a long legend would leave no room for the plot. With a
/// reader it carries its values as data- attributes, which page_script() shows.
std::string render_chart(const Chart& chart, Size size);

/// A complete SVG file: light colours on white, no external reference.
std::string chart_document(const Chart& chart, Size size);

/// Round tick positions that cover [low, high] with at most about `count` intervals.
std::vector<double> nice_ticks(double low, double high, int count);

}  // namespace smoothcert::report
