// The tables that only a sweep has: ACR, and everything needed to repeat each run.
#pragma once

#include "report/table.hpp"
#include "smoothcert/report.hpp"

namespace smoothcert::report {

Table acr_table(const SweepResult& sweep);
/// Everything needed to repeat each run.
Table runs_table(const SweepResult& sweep);

}  // namespace smoothcert::report
