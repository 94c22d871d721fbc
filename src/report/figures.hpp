// The charts of a study: what is drawn, from which numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "report/svg_chart.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::report {

/// Per-step values of one model: raw, and a centred moving average over `window` steps.
Chart loss_chart(const StudyResult& study, std::size_t model);
Chart training_accuracy_chart(const StudyResult& study, std::size_t model);
std::size_t smoothing_window(std::size_t steps);

/// Votes by class of one image's estimation stage.
Chart vote_chart(const NoiseDemonstration::Vote& vote, std::uint32_t image);

/// Which classes a model answers on noisy images, over every estimation sample of the run.
struct NoiseAnswers {
  std::vector<std::uint64_t> votes;      ///< by class
  std::vector<std::uint64_t> certified;  ///< images certified, by predicted class
  std::vector<std::uint64_t> right;      ///< of those, the label agrees
  std::uint64_t samples = 0;
  int favourite = -1;  ///< class of most votes, −1 without samples
  [[nodiscard]] double share(int cls) const {
    return samples == 0 ? 0.0
                        : static_cast<double>(votes[static_cast<std::size_t>(cls)]) /
                              static_cast<double>(samples);
  }
};
NoiseAnswers noise_answers(const StudyModel& model, int classes);
Chart noise_answers_chart(const StudyModel& model, int classes);
/// Counts by the class answered, not by label.
Chart certified_by_class_chart(const StudyModel& model, int classes);

/// Every chart of the study, in the order of the report: figures/ holds these.
std::vector<Chart> all_charts(const StudyResult& study);

}  // namespace smoothcert::report
