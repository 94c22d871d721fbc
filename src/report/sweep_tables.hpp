// The tables of a sweep: ACR, certified accuracy at round radii, abstention and saturation.
#pragma once

#include <cstdint>
#include <vector>

#include "report/table.hpp"
#include "smoothcert/report.hpp"

namespace smoothcert::report {

Table acr_table(const SweepResult& sweep);
Table radius_table(const SweepResult& sweep);
Table saturation_table(const SweepResult& sweep);
/// Everything needed to repeat each run.
Table runs_table(const SweepResult& sweep);

/// Images that reach the largest radius their run can certify: every vote for one class.
struct Saturation {
  double ceiling = 0;  ///< the radius of k = n; 0 where unknown
  std::uint64_t images = 0;
};
Saturation saturation(const ReportedRun& run);

/// The radii of radius_table(): 0 and multiples of a round step, at most nine.
std::vector<double> table_radii(const SweepResult& sweep);

}  // namespace smoothcert::report
