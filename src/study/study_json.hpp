// A study's parts as JSON documents and back.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "smoothcert/study.hpp"

namespace smoothcert::study {

/// Settings, data, times, notes; without models, showcase and demonstrations.
nlohmann::json head_json(const StudyResult& study);
void read_head(const nlohmann::json& json, StudyResult& study);

nlohmann::json history_json(const TrainHistory& history);
TrainHistory read_history(const nlohmann::json& json);

nlohmann::json record_json(const TrainingRecord& record);
TrainingRecord read_record(const nlohmann::json& json);

nlohmann::json attacks_json(const std::vector<AttackReport>& attacks);
std::vector<AttackReport> read_attacks(const nlohmann::json& json);

/// Everything of a model but history and certificates; the images of the latter as indices.
nlohmann::json model_json(const StudyModel& model);
StudyModel read_model(const nlohmann::json& json);

nlohmann::json showcase_json(const std::vector<ShowcaseImage>& images);
std::vector<ShowcaseImage> read_showcase(const nlohmann::json& json);

/// Without the certificates of the votes, which the store has.
nlohmann::json demonstrations_json(const std::vector<NoiseDemonstration>& demonstrations);
std::vector<NoiseDemonstration> read_demonstrations(const nlohmann::json& json);

/// Numbers and pixels; the rest is in the certificates.
nlohmann::json worst_json(const std::vector<WorstImages>& worst);
std::vector<WorstImages> read_worst(const nlohmann::json& json);

nlohmann::json certify_json(const CertifySettings& settings);
CertifySettings read_certify(const nlohmann::json& json);

}  // namespace smoothcert::study
