// A small SVG chart writer: lines, steps, bands and bars on linear axes.
#include "report/svg_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/escape.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

struct Frame {
  double left, top, right, bottom;  ///< of the plot area, in SVG units
  double x_low, x_high, y_low, y_high;
  [[nodiscard]] double x(double v) const {
    return left + (v - x_low) / (x_high - x_low) * (right - left);
  }
  [[nodiscard]] double y(double v) const {
    return bottom - (v - y_low) / (y_high - y_low) * (bottom - top);
  }
};

/// Approximate width of `text` at `size` px; charts leave a little room for other fonts.
double text_width(const std::string& text, double size) {
  std::size_t characters = 0;
  for (const char c : text) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return 0.58 * size * static_cast<double>(characters);
}

std::string tick_text(const Axis& axis, double value, double step) {
  const double shown = axis.percent ? 100 * value : value;
  const double shown_step = axis.percent ? 100 * step : step;
  int decimals = 0;  // as many as the step needs
  for (double scaled = shown_step; decimals < 6 && std::fabs(scaled - std::round(scaled)) > 1e-6;
       scaled *= 10)
    ++decimals;
  if (!axis.percent && decimals == 0 && shown >= 10000)
    return format_count(static_cast<std::uint64_t>(std::llround(shown)));
  return format_fixed(std::fabs(shown) < shown_step * 1e-6 ? 0.0 : shown, decimals) +
         (axis.percent ? " %" : "");
}

void widen(double value, double& low, double& high) {
  if (!std::isfinite(value)) return;
  low = std::min(low, value);
  high = std::max(high, value);
}

/// The axis range: as asked for, or from the data out to round ticks. Never empty.
std::vector<double> set_range(const Axis& axis, double data_low, double data_high, int count,
                              double& low, double& high) {
  const bool fixed = axis.high > axis.low;
  low = fixed ? axis.low : data_low;
  high = fixed ? axis.high : data_high;
  if (!(low <= high)) low = 0, high = 1;
  if (high - low < 1e-12 * std::max(1.0, std::fabs(high)))
    high = low + (low == 0 ? 1 : std::fabs(low));
  std::vector<double> ticks = nice_ticks(low, high, count);
  if (!fixed && ticks.size() > 1) {
    const double step = ticks[1] - ticks[0];
    if (high > ticks.back() + 1e-9 * step) ticks.push_back(ticks.back() + step);
    high = ticks.back();
    low = std::min(low, ticks.front());
  }
  return ticks;
}

std::string marker(int style, double x, double y) {
  // Four shapes, full or hollow: neighbours differ in both, and no two of kStyles are equal.
  const char* fill = (style + style / 4) % 2 == 0 ? "full" : "hollow";
  switch (style % 4) {
    case 0:
      return fmt::format("<circle class=\"mark {} s{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>",
                         fill, style, x, y);
    case 1:
      return fmt::format(
          "<rect class=\"mark {} s{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"6\" height=\"6\"/>", fill,
          style, x - 3, y - 3);
    case 2:
      return fmt::format("<path class=\"mark {} s{}\" d=\"M{:.1f} {:.1f}l3.6 6.2h-7.2z\"/>", fill,
                         style, x, y - 4);
    default:
      return fmt::format("<path class=\"mark {} s{}\" d=\"M{:.1f} {:.1f}l4 4l-4 4l-4 -4z\"/>", fill,
                         style, x, y - 4);
  }
}

std::string path_points(const Series& s, const Frame& f) {
  std::string d;
  bool pen_down = false;
  double last_y = 0;
  for (std::size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i) {
    if (!std::isfinite(s.x[i]) || !std::isfinite(s.y[i])) {
      pen_down = false;
      continue;
    }
    const double px = f.x(s.x[i]), py = f.y(std::clamp(s.y[i], f.y_low, f.y_high));
    if (s.mark == Mark::steps && pen_down && py != last_y) d += fmt::format("H{:.1f}", px);
    d += fmt::format("{}{:.1f} {:.1f}", pen_down ? 'L' : 'M', px, py);
    pen_down = true;
    last_y = py;
  }
  return d;
}

std::string band(const Series& s, const Frame& f) {
  std::string upper, lower;
  const std::size_t n = std::min({s.x.size(), s.y.size(), s.y2.size()});
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::isfinite(s.x[i] + s.y[i] + s.y2[i])) continue;
    upper += fmt::format("{}{:.1f} {:.1f}", upper.empty() ? 'M' : 'L', f.x(s.x[i]), f.y(s.y2[i]));
    lower = fmt::format("L{:.1f} {:.1f}", f.x(s.x[i]), f.y(s.y[i])) + lower;
  }
  if (upper.empty()) return {};
  return fmt::format("<path class=\"band s{}\" d=\"{}{}Z\"/>", s.style, upper, lower);
}

std::string bars(const Series& s, const Chart& chart, const Frame& f) {
  std::string out;
  const double slot = (f.right - f.left) / (f.x_high - f.x_low);
  const double width = std::min(0.72 * slot, 46.0);
  for (std::size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i) {
    if (!std::isfinite(s.y[i])) continue;
    const bool main =
        std::find(s.highlight.begin(), s.highlight.end(), static_cast<int>(i)) != s.highlight.end();
    const double x = f.x(s.x[i]), y = f.y(std::min(s.y[i], f.y_high));
    const std::string text = i < s.point_text.size() ? s.point_text[i] : "";
    out += fmt::format(
        "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\">",
        main ? "bar bar-main" : "bar", x - width / 2, y, width, std::max(f.bottom - y, 0.0));
    const std::string name = i < chart.x.categories.size() ? chart.x.categories[i] : "";
    out += fmt::format("<title>{}: {}</title></rect>", xml(name), xml(text));
    if (!text.empty())
      out += fmt::format(
          "<text class=\"value\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x,
          y - 4, xml(text));
  }
  return out;
}

/// " data-name=… data-values=…" for the page's reader.
std::string read_values(const Series& s, const Chart& chart, bool alone) {
  if (alone || chart.reader.x.empty() || s.values.size() != chart.reader.x.size()) return {};
  std::string values;
  for (const std::string& text : s.values) values += (values.empty() ? "" : "|") + text;
  return fmt::format(" data-name=\"{}\" data-values=\"{}\"", xml(s.label), xml(values));
}

/// A curve with its markers, a few along its length.
std::string curve(const Series& s, const Chart& chart, const Frame& f, bool alone) {
  const std::string d = path_points(s, f);
  if (d.empty()) return {};
  if (s.mark == Mark::faint) return fmt::format("<path class=\"faint s{}\" d=\"{}\"/>", s.style, d);
  if (s.mark == Mark::context) return fmt::format("<path class=\"other\" d=\"{}\"/>", d);
  std::string out = fmt::format("<path class=\"line s{}\" d=\"{}\"{}/>", s.style, d,
                                read_values(s, chart, alone));
  const std::size_t n = std::min(s.x.size(), s.y.size());
  const std::size_t every = std::max<std::size_t>(1, n / 9);
  for (std::size_t i = every / 2 + (static_cast<std::size_t>(s.style) * every) / 8; i < n;
       i += every)
    if (std::isfinite(s.x[i]) && std::isfinite(s.y[i]))
      out += marker(s.style, f.x(s.x[i]), f.y(std::clamp(s.y[i], f.y_low, f.y_high)));
  return out;
}

/// `text` in lines of at most `width` at 12 px, broken after its commas where that is possible.
std::vector<std::string> wrapped(const std::string& text, double width) {
  std::vector<std::string> lines(1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = text.find(", ", at);
    const std::size_t end = comma == std::string::npos ? text.size() : comma + 2;
    const std::string part = text.substr(at, end - at);
    if (!lines.back().empty() && text_width(lines.back() + part, 12) > width) lines.emplace_back();
    lines.back() += part;
    at = end;
  }
  return lines;
}

/// Legend entries in rows; returns the height they take.
double legend(const Chart& chart, double left, double right, double top, std::string& out) {
  double x = left, y = top;
  bool any = false;
  for (const Series& s : chart.series) {
    if (s.label.empty() || s.mark == Mark::bars || s.mark == Mark::band || s.mark == Mark::context)
      continue;
    const double width = 40 + text_width(s.label, 12) + 14;
    if (any && x + width > right) {
      x = left;
      y += 19;
    }
    const char* kind = s.mark == Mark::faint ? "faint" : "line";
    out += fmt::format("<path class=\"{} s{}\" d=\"M{:.1f} {:.1f}h30\"/>", kind, s.style, x, y + 8);
    if (s.mark != Mark::faint) out += marker(s.style, x + 15, y + 8);
    const auto lines = wrapped(s.label, right - x - 40);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i > 0) y += 15;
      out += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x + 37, y + 12,
                         xml(lines[i]));
    }
    x += width;
    any = true;
  }
  return any ? y - top + 24 : 0;
}

double bottom_margin(const Chart& chart) { return chart.x.label.empty() ? 24 : 44; }

constexpr double kLabelSample = 30;  ///< line and marker before a label's text
constexpr double kLineHeight = 15;

bool labels_beside(const Chart& chart, Size size) {
  return chart.direct_labels && size.width >= 560;
}

/// A curve's name in the right margin.
struct SideLabel {
  const Series* series;
  std::vector<std::string> lines;
  double y = 0;  ///< centre
  [[nodiscard]] double height() const {
    return kLineHeight * static_cast<double>(lines.size()) + 6;
  }
};

/// The names of all lines, wrapped to at most a third of the chart; sets the width they take.
std::vector<SideLabel> side_labels(const Chart& chart, Size size, double& width) {
  std::vector<SideLabel> labels;
  width = 0;
  const double most = 0.3 * size.width - kLabelSample;
  for (const Series& s : chart.series) {
    if (s.label.empty() || (s.mark != Mark::line && s.mark != Mark::steps)) continue;
    labels.push_back({&s, wrapped(s.label, most)});
    for (const std::string& line : labels.back().lines)
      width = std::max(width, kLabelSample + text_width(line, 12) + 10);
  }
  width = std::min(width, 0.38 * size.width);
  return labels;
}

/// Where a curve is at height `y`, the rightmost place; else its point that comes closest.
std::pair<double, double> at_height(const Series& s, const Frame& f, double y) {
  double best_x = f.left, best_y = f.bottom, distance = HUGE_VAL;
  double last_x = 0, last_y = std::nan("");
  for (std::size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i) {
    if (!std::isfinite(s.x[i]) || !std::isfinite(s.y[i])) continue;
    const double px = f.x(s.x[i]), py = f.y(std::clamp(s.y[i], f.y_low, f.y_high));
    if (std::fabs(py - y) <= distance) {
      distance = std::fabs(py - y);
      best_x = px;
      best_y = py;
    }
    if ((last_y - y) * (py - y) < 0) {  // crossed between the two points
      distance = 0;
      best_x = last_x + (px - last_x) * (y - last_y) / (py - last_y);
      best_y = y;
    }
    last_x = px;
    last_y = py;
  }
  return {best_x, best_y};
}

/// The labels beside the plot, each as near to its curve's height as the others allow, with a thin
/// line to the curve.
std::string draw_side_labels(std::vector<SideLabel> labels, const Frame& f) {
  if (labels.empty()) return {};
  const auto mean_height = [&](const SideLabel& label) {
    double sum = 0;
    std::size_t n = 0;
    for (const double v : label.series->y)
      if (std::isfinite(v)) sum += f.y(std::clamp(v, f.y_low, f.y_high)), ++n;
    return n == 0 ? f.bottom : sum / static_cast<double>(n);
  };
  for (SideLabel& label : labels) label.y = mean_height(label);
  std::ranges::stable_sort(labels, {}, &SideLabel::y);
  double top = f.top;
  for (SideLabel& label : labels) {
    label.y = std::max(label.y, top + label.height() / 2);
    top = label.y + label.height() / 2;
  }
  double bottom = f.bottom;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    label->y = std::min(label->y, bottom - label->height() / 2);
    bottom = label->y - label->height() / 2;
  }
  std::string out;
  for (const SideLabel& label : labels) {
    const auto [x, y] = at_height(*label.series, f, label.y);
    const double left = f.right + 8;
    out += fmt::format("<path class=\"leader\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", x, y, left,
                       label.y);
    out += marker(label.series->style, x, y);
    out += fmt::format("<path class=\"line s{}\" d=\"M{:.1f} {:.1f}h22\"/>", label.series->style,
                       left, label.y);
    out += marker(label.series->style, left + 11, label.y);
    double baseline = label.y + 4 - kLineHeight / 2 * static_cast<double>(label.lines.size() - 1);
    for (const std::string& line : label.lines) {
      out += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
                         left + kLabelSample - 2, baseline, xml(line));
      baseline += kLineHeight;
    }
  }
  return out;
}

/// `size`, or higher where a long legend would leave too little for the plot.
Size with_room(const Chart& chart, Size size) {
  std::string ignored;
  double keys = 0, beside = 0;
  if (labels_beside(chart, size)) {
    double width = 0;
    for (const SideLabel& label : side_labels(chart, size, width)) beside += label.height();
  } else {
    keys = legend(chart, 2, size.width, 0, ignored);
  }
  const double above = keys + (chart.title.empty() ? 8 : 26) + (chart.y.label.empty() ? 10 : 24);
  const double needed = above + std::max(0.55 * size.height, beside + 12) + bottom_margin(chart);
  size.height = std::max(size.height, static_cast<int>(std::ceil(needed)));
  return size;
}

std::string axes(const Chart& chart, const Frame& f, const std::vector<double>& x_ticks,
                 const std::vector<double>& y_ticks) {
  std::string out;
  const double y_step = y_ticks.size() > 1 ? y_ticks[1] - y_ticks[0] : 1;
  for (const double tick : y_ticks) {
    if (tick > f.y_high + 1e-9 * y_step) continue;
    const double y = f.y(tick);
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", f.left, y, f.right);
    out += fmt::format("<text text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", f.left - 6,
                       y + 4, tick_text(chart.y, tick, y_step));
  }
  out +=
      fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", f.left, f.bottom, f.right);
  const double x_step = x_ticks.size() > 1 ? x_ticks[1] - x_ticks[0] : 1;
  for (std::size_t i = 0; i < x_ticks.size(); ++i) {
    if (x_ticks[i] > f.x_high + 1e-9 * x_step) continue;
    const double x = f.x(x_ticks[i]);
    if (chart.x.categories.empty())
      out += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}v4\"/>", x, f.bottom);
    const std::string text =
        chart.x.categories.empty() ? tick_text(chart.x, x_ticks[i], x_step) : chart.x.categories[i];
    out += fmt::format("<text text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x,
                       f.bottom + 17, xml(text));
  }
  if (!chart.x.label.empty())
    out += fmt::format("<text text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
                       (f.left + f.right) / 2, f.bottom + 37, xml(chart.x.label));
  return out;
}

/// " data-…" for the page's reader: where x is on the drawing, and the places it stops at.
std::string read_places(const Chart& chart, const Frame& f) {
  if (chart.reader.x.empty()) return {};
  std::string places;
  for (const double x : chart.reader.x) places += (places.empty() ? "" : " ") + format_shortest(x);
  return fmt::format(
      " data-quantity=\"{}\" data-places=\"{}\" data-frame=\"{:.1f} {:.1f} {:.1f} "
      "{:.1f} {} {}\"",
      xml(chart.reader.quantity), places, f.left, f.right, f.top, f.bottom,
      format_shortest(f.x_low), format_shortest(f.x_high));
}

std::string open_tag(const Chart& chart, Size size, bool alone, const Frame& f) {
  const std::string text = chart.description.empty() ? chart.title : chart.description;
  return fmt::format(
      "<svg {}class=\"chart\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {} {}\" width=\"{}\" "
      "height=\"{}\"{}>",
      alone ? "xmlns=\"http://www.w3.org/2000/svg\" " : "", xml(text), size.width, size.height,
      size.width, size.height, alone ? "" : read_places(chart, f));
}

/// What is inside the <svg> element, and where the plot is in it.
std::string body(const Chart& chart, Size size, bool alone, Frame& f) {
  double x_low = std::numeric_limits<double>::infinity(), x_high = -x_low;
  double y_low = x_low, y_high = -x_low;
  bool has_bars = false;
  for (const Series& s : chart.series) {
    has_bars = has_bars || s.mark == Mark::bars;
    for (const double v : s.x) widen(v, x_low, x_high);
    for (const double v : s.y) widen(v, y_low, y_high);
    for (const double v : s.y2) widen(v, y_low, y_high);
  }
  if (has_bars) y_low = std::min(0.0, y_low);

  std::string out, keys;
  double top = 8;
  if (!chart.title.empty()) {
    out += fmt::format("<text class=\"title\" x=\"2\" y=\"16\">{}</text>", xml(chart.title));
    top += 18;
  }
  const std::vector<double> y_ticks =
      set_range(chart.y, y_low, y_high, std::max(2, size.height / 70), f.y_low, f.y_high);
  double label_width = 0;
  const double y_step = y_ticks.size() > 1 ? y_ticks[1] - y_ticks[0] : 1;
  for (const double tick : y_ticks)
    label_width = std::max(label_width, text_width(tick_text(chart.y, tick, y_step), 12));
  std::vector<SideLabel> beside;
  double margin = 0;
  if (labels_beside(chart, size))
    beside = side_labels(chart, size, margin);
  else
    top += legend(chart, 2, size.width, top, keys);
  if (!chart.y.label.empty()) {
    out += fmt::format("<text x=\"2\" y=\"{:.1f}\">{}</text>", top + 10, xml(chart.y.label));
    top += 14;
  }
  f.left = 12 + label_width;
  f.right = size.width - std::max(14.0, margin);
  f.top = top + (has_bars ? 18 : 10);
  f.bottom = size.height - bottom_margin(chart);

  std::vector<double> x_ticks;
  if (chart.x.categories.empty()) {
    x_ticks = set_range(chart.x, x_low, x_high, std::max(4, size.width / 95), f.x_low, f.x_high);
    if (chart.x.high <= chart.x.low && x_high > x_low) f.x_high = x_high;  // curves end at the edge
  } else {
    f.x_low = -0.5;
    f.x_high = static_cast<double>(chart.x.categories.size()) - 0.5;
    for (std::size_t i = 0; i < chart.x.categories.size(); ++i)
      x_ticks.push_back(static_cast<double>(i));
  }

  out += keys + axes(chart, f, x_ticks, y_ticks);
  for (const Mark layer :
       {Mark::band, Mark::bars, Mark::context, Mark::faint, Mark::steps, Mark::line}) {
    for (const Series& s : chart.series) {
      if (s.mark != layer) continue;
      out += layer == Mark::band   ? band(s, f)
             : layer == Mark::bars ? bars(s, chart, f)
                                   : curve(s, chart, f, alone);
    }
  }
  return out + draw_side_labels(std::move(beside), f);
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
  if (!std::isfinite(low) || !std::isfinite(high) || !(high > low)) return {low};
  const double raw = (high - low) / std::max(1, count);
  const double magnitude = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * magnitude;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * magnitude >= raw * (1 - 1e-9)) {
      step = factor * magnitude;
      break;
    }
  }
  std::vector<double> ticks;
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
    ticks.push_back(k * step);
  return ticks;
}

std::string render_chart(const Chart& chart, Size size) {
  size = with_room(chart, size);
  Frame f{};
  const std::string inside = body(chart, size, false, f);
  return open_tag(chart, size, false, f) + inside + "</svg>";
}

std::string chart_document(const Chart& chart, Size size) {
  size = with_room(chart, size);
  const Palette palette = light_palette();
  Frame f{};
  const std::string inside = body(chart, size, true, f);
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + open_tag(chart, size, true, f) +
         "<style>" + chart_css(palette) +
         fmt::format("</style><rect width=\"100%\" height=\"100%\" fill=\"{}\"/>",
                     palette.surface) +
         inside + "</svg>\n";
}

}  // namespace smoothcert::report
