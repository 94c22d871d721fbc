// The tables that only a sweep has: ACR, and everything needed to repeat each run.
#pragma once

#include <optional>

#include "report/table.hpp"
#include "smoothcert/report.hpp"

namespace smoothcert::report {

Table acr_table(const SweepResult& sweep);
/// Whether all runs are over the same images.
bool same_images(const SweepResult& sweep);
/// What can be compared where they are not: figures over the images that all of them hold. Nothing
/// where all hold the same, or where our runs are of several data sets.
std::optional<Table> common_table(const SweepResult& sweep);
/// Everything needed to repeat each run.
Table runs_table(const SweepResult& sweep);

}  // namespace smoothcert::report
