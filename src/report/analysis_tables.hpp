// Tables of what certificates say beyond their averages, for both reports: by label, by bound, in
// pairs, and whether a run is close to a constant classifier.
#pragma once

#include <string>
#include <vector>

#include "report/run_view.hpp"
#include "report/table.hpp"
#include "smoothcert/analysis.hpp"

namespace smoothcert::report {

/// The radii of tables and files: 0 and multiples of a round step, at most nine.
std::vector<double> table_radii(const std::vector<RunView>& runs);
/// Certified accuracy in % at those radii.
Table radius_table(const std::vector<RunView>& runs);

/// Correct & certified by label, with 95 % intervals where the table has room for them.
Table label_table(const std::vector<RunView>& runs);

/// Abstention, saturation, the median bound, the class certified most often, clean accuracy: what
/// shows a constant classifier for what it is.
Table standing_table(const std::vector<RunView>& runs);
/// What the same counts certify beyond the radii: top-k radii, and how much of the method's ceiling
/// these samples reach. Without rows where no run has counts of more than two classes.
Table more_table(const std::vector<RunView>& runs);
/// One table a run of Gaussian noise and few classes: how far the images of each label are from
/// every other class. Of the first `most` such runs.
std::vector<Table> distance_tables(const std::vector<RunView>& runs, std::size_t most = 4);
/// Whether a run has such a table.
bool has_distances(const RunView& run);
/// One sentence that names the runs which are nearly constant, `named` of them at most; empty where
/// none is.
std::string constancy_sentence(const std::vector<RunView>& runs, std::size_t named = 3);

/// Two runs and what they share.
struct Pair {
  std::string first, second;
  PairedComparison comparison;
  double mcnemar_adjusted = 1, permutation_adjusted = 1;  ///< Holm, over all pairs of the report
};
struct Pairs {
  std::vector<Pair> pairs;
  std::vector<std::string> notes;  ///< which comparisons are left out and why
};
/// Pairs whose radii may be compared: runs that differ in the model alone (all pairs of up to five,
/// else each beside the first), and imported results beside ours.
Pairs compared_pairs(const std::vector<RunView>& runs);
Table pair_table(const Pairs& pairs);

/// Confidently wrong: up to `count` images a run, the largest wrong radius first.
Table worst_table(const std::vector<RunView>& runs, std::size_t count);

}  // namespace smoothcert::report
