// The analysis of certificates as JSON: the same members wherever a run or a model is described.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "smoothcert/analysis.hpp"

namespace smoothcert {

/// {"by_label": […], "p_lower_quantiles": {…}, "saturation": {…}, "most_certified_class": {…}}.
/// `settings` null: an imported run, without bounds.
nlohmann::json analysis_json(std::span<const Certificate> certificates,
                             const CertifySettings* settings, const ImageShape& shape);

nlohmann::json paired_json(const std::string& first, const std::string& second,
                           const PairedComparison& comparison, double mcnemar_adjusted,
                           double permutation_adjusted);

}  // namespace smoothcert
