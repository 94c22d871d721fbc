// What a comparison is going to do, fixed before it starts and kept in its store: the same folder
// only ever continues the same comparison.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "smoothcert/compare.hpp"
#include "smoothcert/results.hpp"

namespace smoothcert::compare_detail {

struct Plan {
  std::vector<std::uint32_t> certify_indices, attack_indices;
  std::string subset_note;  ///< "" when all images are certified
  std::string started;      ///< ISO 8601, UTC
};

/// Reads the plan of the store, or makes and stores one. `samples_per_second` is only called where
/// the time budget has to choose the number of images. Throws UsageError where the store holds a
/// comparison with other settings, naming the first that differs.
Plan settle_plan(ResultsStore& store, const CompareOptions& options, const Dataset& train,
                 const Dataset& test, const std::function<double()>& samples_per_second);

/// Throws UsageError where settle_plan() would, before anything is computed.
void check_plan(const ResultsStore& store, const CompareOptions& options, const Dataset& train,
                const Dataset& test);

/// The smallest spacing from a list of plain numbers (1, 2, 4, 5, 10, 20 …) that leaves at most
/// `wanted` of `total` images; `wanted` ≥ 1.
std::size_t spacing_for(std::size_t total, std::size_t wanted);

}  // namespace smoothcert::compare_detail
