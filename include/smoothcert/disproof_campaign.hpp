// Disproofs for the certificates of a store: what it holds is not searched again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/brackets.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/disprove.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/results.hpp"

namespace smoothcert {

/// What became of one run.
struct DisprovedRun {
  RunInfo run;
  std::size_t certified = 0;                          ///< images that were asked for
  std::map<std::uint32_t, Certificate> certificates;  ///< of its certified images
  std::vector<Disproof> tests;                        ///< of those, from the store and new
  BracketSummary brackets;
  Contradictions contradictions;
};

struct DisproofCampaign {
  const Network& network;  ///< what `model` was loaded with
  const Dataset& data;
  DisproofSettings settings;
  std::string store_name;  ///< for errors
  std::uint64_t most = 0;  ///< certified images of each run, spread evenly; 0 = all
};

/// May both be empty.
struct DisproofObserver {
  std::function<void(std::string_view line)> say;
  std::function<void(std::int64_t run, std::size_t done, std::size_t images)> progress;
};

/// Searches at the certified images of every L2 run in `store` that is of this model and data, and
/// stores each test as it comes. Throws UsageError where there is no such run; Interrupted.
std::vector<DisprovedRun> disprove_into_store(ResultsStore& store, BackendModel& model,
                                              const DisproofCampaign& campaign,
                                              const DisproofObserver& observer = {},
                                              std::stop_token stop = {});

/// Throws Error where so many confirmed points lie within certified radii that chance does not
/// explain them: a defect of this program, or a changed store.
void require_no_defect(const std::vector<DisprovedRun>& runs);

}  // namespace smoothcert
