// One run as the charts and tables of both reports see it: a model of a comparison, a run of a
// store, or a peer's file.
#pragma once

#include <string>
#include <vector>

#include "smoothcert/report.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::report {

struct RunView {
  std::string name;
  const std::vector<Certificate>* certificates = nullptr;
  const CertifySettings* settings = nullptr;  ///< none where imported
  ImageShape shape;
  double clean_accuracy = -1;  ///< of the base classifier, in [0,1]; −1 = unknown
  std::string data;            ///< what identifies the images; empty where imported
  const std::vector<Disproof>* disproofs = nullptr;  ///< none where nothing was tested
};

/// Models that have certificates, in the study's order.
std::vector<RunView> run_views(const StudyResult& study);
std::vector<RunView> run_views(const SweepResult& sweep);

/// The norm of a run's radii; the field's files are in L2.
Norm norm_of(const RunView& run);
/// "L1", "L2", "L∞".
std::string norm_title(Norm norm);
bool is_exact(const RunView& run);

/// Runs whose radii differ for the model's sake alone: equal data, σ, n, α, p_B, noise,
/// mode and stopping rule.
bool comparable(const RunView& a, const RunView& b);
/// In which of these `runs` of ours differ, σ or λ left out: "n", "α", ….
std::vector<std::string> differences(const std::vector<const RunView*>& runs);

}  // namespace smoothcert::report
