// The models of a comparison: trained, or taken from an earlier run of the same one; then attacked.
#pragma once

#include <string>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/compare.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::compare_detail {

/// Everything the parts of one comparison share.
struct Work {
  Backend& backend;
  const Dataset& train;
  const Dataset& test;
  const CompareOptions& options;
  const CompareObserver& observer;
  ResultsStore& store;
  std::stop_token stop;

  void say(std::string_view line) const {
    if (observer.say) observer.say(line);
  }
  void progress(std::string_view activity, double fraction, std::string_view detail) const {
    if (observer.progress) observer.progress(activity, fraction, detail);
  }
};

/// Fills name, file, hash, network, parameters, record and history of the model of `recipe`, and
/// returns its network.
Network make_model(const Work& work, const std::string& recipe, StudyModel& model);

/// Fills clean_accuracy and attacks.
void attack_model(const Work& work, BackendModel& loaded, std::span<const std::uint32_t> indices,
                  StudyModel& model);

}  // namespace smoothcert::compare_detail
