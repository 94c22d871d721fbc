// The tables of a study, and the sentences that must travel with them.
#pragma once

#include <string>

#include "report/table.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::report {

/// Correct & certified, wrong, abstained and the three averages beside the published figures.
Table comparison_table(const StudyResult& study);

/// Clean and attacked accuracy: the study's cross-entropy figure, the worse of both losses, images
/// with a zero gradient.
Table accuracy_table(const StudyResult& study);

/// Everything needed to repeat the study.
Table settings_table(const StudyResult& study);

/// "At α = 0.05 up to one certificate in twenty may be false …"
std::string alpha_caveat(double alpha);
/// How the bound of the second class was had.
std::string p_b_text(SecondBound p_b);

/// "mnist" → "MNIST"; other names as they are.
std::string dataset_title(const std::string& name);

/// "L2, ε = 5"; "PGD L2, ε = 5, 20 steps".
std::string attack_label(const AttackSpec& spec);

}  // namespace smoothcert::report
