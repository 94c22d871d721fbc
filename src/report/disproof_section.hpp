// What disproofs say of certified radii: how far above them the true ones may lie.
#pragma once

#include <vector>

#include "report/run_view.hpp"
#include "report/svg_chart.hpp"
#include "report/table.hpp"

namespace smoothcert::report {

/// One row a run that has disproofs; without rows where none has.
Table disproof_table(const std::vector<RunView>& runs);

/// For each run with disproofs (at most four charts): the share of its tested images that are
/// correct with a certified radius of at least r, and the share that are correct with no confirmed
/// point within r. The robust accuracy of the smoothed classifier at r, over these images, lies
/// between them.
std::vector<Chart> disproof_charts(const std::vector<RunView>& runs);

}  // namespace smoothcert::report
