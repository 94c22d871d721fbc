// The analysis of certificates as JSON: the same members wherever a run or a model is described.
#include "analysis/analysis_json.hpp"

#include "smoothcert/more_certificates.hpp"
#include "smoothcert/soundness.hpp"

namespace smoothcert {

using nlohmann::json;

json analysis_json(std::span<const Certificate> certificates, const CertifySettings* settings,
                   const ImageShape& shape) {
  json labels = json::array();
  for (const LabelSummary& s : summarise_by_label(certificates, 0))
    labels.push_back({{"label", s.label},
                      {"images", s.images},
                      {"correct_certified", s.correct_certified},
                      {"wrong", s.wrong},
                      {"abstained", s.abstained},
                      {"correct_certified_low", s.interval.low},
                      {"correct_certified_high", s.interval.high},
                      {"acr", s.acr}});
  const Constancy constant = constancy(certificates);
  json result = {{"by_label", std::move(labels)},
                 {"most_certified_class",
                  {{"class", constant.favourite},
                   {"share_of_certified", constant.share},
                   {"share_of_labels", constant.label_share},
                   {"nearly_constant", constant.nearly_constant()}}}};
  if (settings == nullptr) return result;
  result["guarantee"] = to_name(soundness_of(settings->noise, settings->mode));
  const Saturation at = saturation(certificates, *settings, shape);
  result["saturation"] = {{"ceiling_radius", at.ceiling}, {"images", at.images}};
  if (!noise_traits(settings->noise).has_width()) {
    const MoreOfRun more = more_of_run(certificates, bound_settings(*settings, shape));
    result["top_k_acr"] = more.top_k_acr;
    if (!certificates.empty() &&
        certificates.front().estimation.counts.size() <= kMostDistanceClasses) {
      json distances = json::array();
      for (const LabelDistances& of :
           distances_by_label(certificates, bound_settings(*settings, shape)))
        distances.push_back(
            {{"label", of.label}, {"images", of.images}, {"median_distance", of.median}});
      result["class_distances"] = std::move(distances);
    }
    result["median_share_of_ceiling"] = more.ceiling_share < 0 ? json() : json(more.ceiling_share);
  }
  json quantiles = json::object();
  for (const auto& [name, q] :
       {std::pair{"0.05", 0.05}, {"0.25", 0.25}, {"0.5", 0.5}, {"0.75", 0.75}, {"0.95", 0.95}})
    quantiles[name] = bound_quantile(certificates, q);
  result["p_lower_quantiles"] = std::move(quantiles);
  return result;
}

json paired_json(const std::string& first, const std::string& second, const PairedComparison& c,
                 double mcnemar_adjusted, double permutation_adjusted) {
  return {{"first", first},
          {"second", second},
          {"images", c.images},
          {"acr_difference", c.acr_difference},
          {"acr_difference_half_width_95", c.acr_half_width},
          {"permutation_p", c.permutation_p},
          {"permutation_p_holm", permutation_adjusted},
          {"radius", c.radius},
          {"both", c.both},
          {"only_first", c.only_first},
          {"only_second", c.only_second},
          {"neither", c.neither},
          {"mcnemar_p", c.mcnemar_p},
          {"mcnemar_p_holm", mcnemar_adjusted}};
}

}  // namespace smoothcert
