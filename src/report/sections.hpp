// The parts of a study's report, one function each, in reading order.
#pragma once

#include "report/page.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::report {

/// `with_files`: whether the page will have a section that links to files.
void title_section(Page& page, const StudyResult& study, bool with_files);
void certification_section(Page& page, const StudyResult& study);
/// Pictures of each model's certified but wrong images, the largest radius first.
/// Pictures of certified images with another class than their label; nothing where there are none.
void worst_images_figure(Page& page, const std::vector<WorstImages>& all, const ImageShape& shape);
void noise_section(Page& page, const StudyResult& study);    ///< what smoothing does to one image
void answers_section(Page& page, const StudyResult& study);  ///< why radii are as they are
void analysis_section(Page& page,
                      const StudyResult& study);  ///< by label, bounds, pairs, worst images
void published_section(Page& page, const StudyResult& study);  ///< the study's figures, in words
void attack_section(Page& page, const StudyResult& study);
void training_section(Page& page, const StudyResult& study);
void settings_section(Page& page, const StudyResult& study);

}  // namespace smoothcert::report
