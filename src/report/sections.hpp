// The parts of a study's report, one function each, in reading order.
#pragma once

#include "report/page.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::report {

void title_section(Page& page, const StudyResult& study);
void certification_section(Page& page, const StudyResult& study);
void noise_section(Page& page, const StudyResult& study);   ///< what smoothing does to one image
void answers_section(Page& page, const StudyResult& study); ///< why radii are as they are
void attack_section(Page& page, const StudyResult& study);
void training_section(Page& page, const StudyResult& study);
void settings_section(Page& page, const StudyResult& study);

}  // namespace smoothcert::report
