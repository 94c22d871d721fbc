// Certified accuracy against radius, and the distribution of the bounds p̲_A, for any number of
// runs: at most kStyles curves a chart, so that no two share a colour, a dash pattern or a marker.
#pragma once

#include <string>
#include <vector>

#include "report/run_view.hpp"
#include "report/svg_chart.hpp"

namespace smoothcert::report {

/// Certified accuracy against radius with a pointwise 95 % Clopper–Pearson band over images.
struct Curve {
  std::vector<double> radius, accuracy, low, high;
};
Curve certified_accuracy_curve(const std::vector<Certificate>& certificates);

inline constexpr std::size_t kMostBands = 5;  ///< in one chart: more hide each other

/// A run in a chart, under the name and in the style it has there.
struct ChartedRun {
  std::string label;
  int style = 0;
  RunView run;
};

/// Charts of `runs` in order; where there are more than kStyles of them, each part has the others'
/// curves in grey behind its own. The first is called `name`, the next `name`-2, ….
std::vector<Chart> accuracy_charts(const std::vector<ChartedRun>& runs, const std::string& name,
                                   const std::string& title);
/// The share of images whose bound p̲_A is at least p, right or wrong; imported runs have no bounds
/// and are left out.
std::vector<Chart> bound_charts(const std::vector<ChartedRun>& runs, const std::string& name,
                                const std::string& title);

/// Styles in order, each run under its own name.
std::vector<ChartedRun> charted(const std::vector<RunView>& runs);

}  // namespace smoothcert::report
