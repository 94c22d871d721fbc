// Our figures beside the published study's, in words.
#pragma once

#include <string>
#include <vector>

#include "smoothcert/study.hpp"

namespace smoothcert::report {

/// The published figures are MNIST's and say nothing about other data: nullptr there.
const PublishedFigures* published_for(const StudyResult& study, const StudyModel& model);

/// A paragraph for each published figure that this study has beside it: how far apart they are, and
/// what explains it as far as measured. Empty where nothing was published.
std::vector<std::string> published_paragraphs(const StudyResult& study);

}  // namespace smoothcert::report
