// What the figures say, in plain words. Every sentence is derived from the study's numbers and is
// left out where they do not support it.
#pragma once

#include <string>
#include <vector>

#include "smoothcert/study.hpp"

namespace smoothcert::report {

/// All of them, sentence by sentence: what was done, what was certified, what to beware of.
std::vector<std::string> findings(const StudyResult& study);

/// The opening paragraph, of three sentences where there is so much to say, and what is left.
struct Opening {
  std::vector<std::string> sentences, rest;
};
Opening opening(const StudyResult& study);

/// What must not be overlooked: stand-in data, continuous noise, a part of the test set, fast mode,
/// and the study's own notes. Shown as banners.
std::vector<std::string> warnings(const StudyResult& study);

/// Why a model's certified images have the radii they have: which class it answers on noise.
std::string noise_answer_sentence(const StudyModel& model, int classes);

}  // namespace smoothcert::report
