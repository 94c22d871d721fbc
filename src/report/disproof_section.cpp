// Table and charts of disproofs.
#include "report/disproof_section.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "smoothcert/brackets.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

constexpr std::size_t kMostCharts = 4;
constexpr int kGridPoints = 120;

std::vector<Bracket> brackets_of(const RunView& run) {
  return brackets(*run.certificates, *run.disproofs);
}

Chart bracket_chart(const RunView& run, std::size_t number) {
  const std::vector<Bracket> all = brackets_of(run);
  double largest = 0;
  for (const Bracket& b : all)
    largest = std::max({largest, b.radius, b.confirmed ? b.distance : 0});
  Chart chart;
  chart.name = number == 0 ? "disproofs" : fmt::format("disproofs-{}", number + 1);
  chart.title = run.name;
  chart.x.label = "L2 radius r, in units of [0, 1] pixels";
  chart.y.label = "share of the tested images";
  chart.y.high = 1;
  chart.y.percent = true;
  Series certified, open, between;
  certified.label = "certified";
  open.label = "not disproved";
  open.style = 1;
  between.mark = Mark::band;
  chart.reader.quantity = "radius r";
  for (int i = 0; i <= kGridPoints; ++i) {
    const double r = largest * i / kGridPoints;
    std::size_t low = 0, high = 0;
    for (const Bracket& b : all) {
      low += b.correct && b.radius >= r ? 1 : 0;
      high += b.correct && !(b.confirmed && b.distance < r) ? 1 : 0;
    }
    const auto share = [&](std::size_t k) {
      return static_cast<double>(k) / static_cast<double>(all.size());
    };
    for (Series* s : {&certified, &open, &between}) s->x.push_back(r);
    certified.y.push_back(share(low));
    open.y.push_back(share(high));
    between.y.push_back(share(low));
    between.y2.push_back(share(high));
    if (i % 4 == 0) {
      chart.reader.x.push_back(r);
      certified.values.push_back(format_percent(share(low), 1) + " %");
      open.values.push_back(format_percent(share(high), 1) + " %");
    }
  }
  chart.description = fmt::format(
      "Certified share and share that is not disproved against radius, {} tested images of {}.",
      all.size(), run.name);
  chart.series = {std::move(between), std::move(certified), std::move(open)};
  return chart;
}

}  // namespace

Table disproof_table(const std::vector<RunView>& runs) {
  Table table;
  table.caption =
      "How tight the radii are: points close to certified images that the smoothed classifier "
      "answers "
      "otherwise, each tested once on fresh samples.";
  table.label = "disproofs";
  table.columns = {
      {"run", false},      {"images tested"}, {"confirmed"},        {"median certified radius"},
      {"median distance"}, {"median ratio"},  {"within the radius"}};
  double alpha = 0;
  for (const RunView& run : runs) {
    if (run.disproofs == nullptr) continue;
    for (const Disproof& d : *run.disproofs) alpha = std::max(alpha, d.alpha);
    const BracketSummary b = summarise(brackets_of(run));
    const bool any = b.confirmed > 0;
    table.rows.push_back({run.name, format_count(b.tested), format_count(b.confirmed),
                          any ? format_down(b.radius, 4) : "–",
                          any ? format_fixed(b.distance, 4) : "–",
                          any ? format_fixed(b.ratio, 3) : "–", format_count(b.below)});
  }
  table.notes = {
      fmt::format("With confidence 1 − α − {} the robust radius of a confirmed image lies between "
                  "its certified radius and "
                  "the distance of its point; medians are over confirmed images. An image for "
                  "which no point was found, or "
                  "none confirmed, says nothing.",
                  format_shortest(alpha))};
  return table;
}

std::vector<Chart> disproof_charts(const std::vector<RunView>& runs) {
  std::vector<Chart> charts;
  for (const RunView& run : runs) {
    if (run.disproofs == nullptr || charts.size() == kMostCharts || brackets_of(run).empty())
      continue;
    charts.push_back(bracket_chart(run, charts.size()));
  }
  return charts;
}

}  // namespace smoothcert::report
