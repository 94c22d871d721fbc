// Certified accuracy against radius, and the distribution of the bounds p̲_A, for any number of
// runs: at most kStyles curves a chart, so that no two share a colour, a dash pattern or a marker.
#include "report/accuracy_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "smoothcert/analysis.hpp"
#include "smoothcert/statistics.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

constexpr std::size_t kGridPoints = 240;
constexpr std::size_t kMostPlaces = 80;  ///< of a reader

/// Round radii from 0 to beyond the largest radius of all runs.
std::vector<double> reader_radii(const std::vector<ChartedRun>& runs) {
  double largest = 0;
  for (const ChartedRun& r : runs)
    for (const Certificate& c : *r.run.certificates)
      if (c.correct() && std::isfinite(c.radius)) largest = std::max(largest, c.radius);
  if (largest <= 0) return {};
  const auto ticks = nice_ticks(0, largest, static_cast<int>(kMostPlaces));
  return ticks.size() < 2 ? std::vector<double>{} : ticks;
}

std::string percent_text(double share) {
  return (share > 0 ? format_percent(share, 1) : "0") + " %";
}

std::string accuracy_text(const std::vector<Certificate>& certificates, double r) {
  const double share = certified_accuracy(certificates, r);
  const auto n = static_cast<std::uint64_t>(certificates.size());
  if (n == 0) return "–";
  const auto k =
      static_cast<std::uint64_t>(std::llround(share * static_cast<double>(certificates.size())));
  const Interval interval = share_interval(k, n, 0.05);
  return fmt::format("{} ({}–{})", percent_text(share), format_percent(interval.low, 1),
                     format_percent(interval.high, 1));
}

Series plain(Mark mark, int style, std::vector<double> x, std::vector<double> y) {
  Series s;
  s.mark = mark;
  s.style = style;
  s.x = std::move(x);
  s.y = std::move(y);
  return s;
}

void add_accuracy(Chart& chart, const ChartedRun& run, bool band) {
  Curve curve = certified_accuracy_curve(*run.run.certificates);
  chart.description +=
      fmt::format(" {}: {} % at radius 0, largest radius {}.", run.label,
                  format_percent(curve.accuracy.front(), 1), format_down(curve.radius.back(), 3));
  if (band) {
    Series s = plain(Mark::band, run.style, curve.radius, std::move(curve.low));
    s.y2 = std::move(curve.high);
    chart.series.push_back(std::move(s));
  }
  Series s = plain(Mark::line, run.style, std::move(curve.radius), std::move(curve.accuracy));
  s.label = run.label;
  for (const double r : chart.reader.x) s.values.push_back(accuracy_text(*run.run.certificates, r));
  chart.series.push_back(std::move(s));
}

/// Where p̲_A is looked at: finer near 1, where the radii are.
std::vector<double> bound_places() {
  std::vector<double> places;
  for (int i = 0; i < 90; i += 2) places.push_back(i / 100.0);
  for (int i = 900; i <= 1000; i += 5) places.push_back(i / 1000.0);
  return places;
}

void add_bounds(Chart& chart, const ChartedRun& run) {
  Series s = plain(Mark::line, run.style, chart.reader.x, {});
  s.label = run.label;
  for (const double below : share_of_bounds_below(*run.run.certificates, s.x)) {
    s.y.push_back(1 - below);
    s.values.push_back(percent_text(1 - below));
  }
  chart.description += fmt::format(" {}: median bound {}.", run.label,
                                   format_down(bound_quantile(*run.run.certificates, 0.5), 4));
  chart.series.push_back(std::move(s));
}

/// ", σ = 0.5": a screen reader does not read what is drawn.
std::string of(const std::string& title) { return title.empty() ? "" : ", " + title; }

/// `make` fills a chart with the curves of its runs; the parts of a long list come one after
/// another.
template <class Make, class Context>
std::vector<Chart> in_parts(const std::vector<ChartedRun>& runs, const std::string& name,
                            const std::string& title, Make make, Context context) {
  std::vector<Chart> charts;
  const auto most = static_cast<std::size_t>(kStyles);
  const std::size_t parts = (runs.size() + most - 1) / most;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t first = part * most, last = std::min(runs.size(), first + most);
    std::vector<ChartedRun> shown(runs.begin() + static_cast<std::ptrdiff_t>(first),
                                  runs.begin() + static_cast<std::ptrdiff_t>(last));
    Chart chart;
    chart.name = part == 0 ? name : fmt::format("{}-{}", name, part + 1);
    chart.title = title;
    if (parts > 1) {
      chart.title += fmt::format("{}runs {} to {} of {}, the others in grey",
                                 title.empty() ? "" : ", ", first + 1, last, runs.size());
      for (std::size_t i = first; i < last; ++i)
        shown[i - first].style = static_cast<int>(i - first);
      for (std::size_t i = 0; i < runs.size(); ++i)
        if (i < first || i >= last) chart.series.push_back(context(runs[i]));
    }
    chart.direct_labels = true;
    make(chart, shown);
    charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace

Curve certified_accuracy_curve(const std::vector<Certificate>& certificates) {
  Curve curve;
  std::vector<double> radii;
  for (const Certificate& c : certificates)
    if (c.correct() && std::isfinite(c.radius)) radii.push_back(c.radius);
  std::sort(radii.begin(), radii.end());
  const double last = radii.empty() ? 0.0 : radii.back();
  const auto add = [&](double r, double at) {
    const auto k =
        static_cast<std::uint64_t>(radii.end() - std::lower_bound(radii.begin(), radii.end(), at));
    const std::uint64_t n = certificates.size();
    const Interval interval = n == 0 ? Interval{0, 0} : share_interval(k, n, 0.05);
    curve.radius.push_back(r);
    curve.accuracy.push_back(n == 0 ? 0.0 : static_cast<double>(k) / static_cast<double>(n));
    curve.low.push_back(interval.low);
    curve.high.push_back(interval.high);
  };
  for (std::size_t i = 0; i <= kGridPoints && last > 0; ++i) {
    const double r = i == kGridPoints ? last : last * static_cast<double>(i) / kGridPoints;
    add(r, r);
  }
  if (last == 0) add(0, 0);
  add(last, std::nextafter(last, HUGE_VAL));  // beyond the largest radius nothing is certified
  return curve;
}

std::vector<Chart> accuracy_charts(const std::vector<ChartedRun>& runs, const std::string& name,
                                   const std::string& title) {
  const std::vector<double> radii = reader_radii(runs);
  return in_parts(
      runs, name, title,
      [&](Chart& chart, const std::vector<ChartedRun>& shown) {
        chart.x.label =
            norm_title(norm_of(shown.front().run)) + " radius r, in units of [0, 1] pixels";
        chart.y.label = "certified accuracy";
        chart.y.high = 1;
        chart.y.percent = true;
        chart.description = "Certified accuracy against radius" + of(chart.title) + ".";
        chart.reader = {"radius r", radii};
        for (const ChartedRun& run : shown) add_accuracy(chart, run, shown.size() <= kMostBands);
      },
      [](const ChartedRun& run) {
        Curve curve = certified_accuracy_curve(*run.run.certificates);
        return plain(Mark::context, 0, std::move(curve.radius), std::move(curve.accuracy));
      });
}

std::vector<Chart> bound_charts(const std::vector<ChartedRun>& all, const std::string& name,
                                const std::string& title) {
  std::vector<ChartedRun> runs;
  for (const ChartedRun& run : all)
    if (run.run.settings != nullptr) runs.push_back(run);
  const std::vector<double> places = bound_places();
  return in_parts(
      runs, name, title,
      [&](Chart& chart, const std::vector<ChartedRun>& shown) {
        chart.x.label =
            std::ranges::all_of(shown, [](const ChartedRun& run) { return is_exact(run.run); })
                ? "share p of the splits that answer the selected class"
                : "lower bound p of the probability of the selected class";
        chart.x.high = 1;
        chart.y.label = "share of images with a bound of at least p";
        chart.y.high = 1;
        chart.y.percent = true;
        chart.description = "Share of images whose bound of the selected class is at least p" +
                            of(chart.title) + ".";
        chart.reader = {"bound p", places};
        for (const ChartedRun& run : shown) add_bounds(chart, run);
      },
      [&](const ChartedRun& run) {
        std::vector<double> share = share_of_bounds_below(*run.run.certificates, places);
        for (double& s : share) s = 1 - s;
        return plain(Mark::context, 0, places, std::move(share));
      });
}

std::vector<ChartedRun> charted(const std::vector<RunView>& runs) {
  std::vector<ChartedRun> out;
  for (const RunView& run : runs)
    out.push_back({run.name, static_cast<int>(out.size()) % kStyles, run});
  return out;
}

}  // namespace smoothcert::report
