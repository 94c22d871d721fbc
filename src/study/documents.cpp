// A study in the results store: what save_study() keeps, load_study() finds again.
#include <fmt/core.h>

#include <algorithm>

#include "smoothcert/error.hpp"
#include "study/study_json.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;

constexpr const char* kHead = "study/head";
constexpr const char* kModels = "study/models";
constexpr const char* kHistories = "study/histories";
constexpr const char* kShowcase = "study/showcase";
constexpr const char* kDemonstrations = "study/demonstrations";
constexpr const char* kWorst = "study/worst";

json read(const ResultsStore& store, const char* key, const std::filesystem::path& file) {
  const auto text = store.document(key);
  if (!text)
    throw Error(fmt::format(
        "{}: holds no finished comparison; 'smoothcert compare --out {}' makes or continues one",
        file.string(), file.parent_path().string()));
  return json::parse(*text);
}

/// Replaces the image numbers that read_model() left by the certificates of the run.
void attach_certificates(StudyModel& model, const ResultsStore& store,
                         const std::vector<RunInfo>& runs, const std::filesystem::path& file) {
  const auto run = std::find_if(runs.begin(), runs.end(),
                                [&](const RunInfo& r) { return r.key == model.run_key; });
  if (run == runs.end())
    throw Error(
        fmt::format("{}: the certificates of model '{}' are missing; run 'smoothcert "
                    "compare' in this folder again",
                    file.string(), model.name));
  model.run = run->settings;
  const auto stored = store.certificates(run->id);
  for (auto& certificate : model.certificates) {
    const auto found =
        std::lower_bound(stored.begin(), stored.end(), certificate.image,
                         [](const Certificate& c, std::uint32_t image) { return c.image < image; });
    if (found == stored.end() || found->image != certificate.image)
      throw Error(
          fmt::format("{}: model '{}' has no certificate of image {}; run 'smoothcert "
                      "compare' in this folder again",
                      file.string(), model.name, certificate.image));
    certificate = *found;
  }
  model.summary = summarise(model.certificates);
}

void attach_votes(StudyResult& study) {
  for (auto& demonstration : study.demonstrations)
    for (auto& vote : demonstration.votes)
      for (const auto& model : study.models)
        if (model.name == vote.model)
          for (const auto& certificate : model.certificates)
            if (certificate.image == demonstration.image) vote.certificate = certificate;
}

/// Labels, answers and radii of the stored pictures, from the certificates.
void attach_worst(StudyResult& study) {
  for (auto& worst : study.worst) {
    const auto model = std::ranges::find(study.models, worst.model, &StudyModel::name);
    std::erase_if(worst.images, [&](WorstImages::Image& image) {
      if (model == study.models.end()) return true;
      const auto c = std::ranges::find(model->certificates, image.image, &Certificate::image);
      if (c == model->certificates.end() || c->prediction < 0 || c->correct()) return true;
      image.label = c->label;
      image.prediction = c->prediction;
      image.radius = c->radius;
      return false;
    });
  }
}

}  // namespace

void save_study(ResultsStore& store, const StudyResult& s) {
  json models = json::array(), histories = json::object();
  for (const auto& model : s.models) {
    models.push_back(study::model_json(model));
    histories[model.name] = study::history_json(model.history);
  }
  store.put_document(kModels, models.dump());
  store.put_document(kHistories, histories.dump());
  store.put_document(kShowcase, study::showcase_json(s.showcase).dump());
  store.put_document(kDemonstrations, study::demonstrations_json(s.demonstrations).dump());
  store.put_document(kWorst, study::worst_json(s.worst).dump());
  store.put_document(kHead, study::head_json(s).dump());  // last: without it there is no study
  store.flush();
}

bool holds_study(const std::filesystem::path& file) {
  return ResultsStore::open(file, ResultsStore::Access::read_only)->document(kHead).has_value();
}

StudyResult load_study(const std::filesystem::path& folder) {
  const auto file = folder / kResultsFile;
  if (!std::filesystem::exists(file))
    throw Error(fmt::format("{}: no {} there; give the folder that 'smoothcert compare' wrote",
                            folder.string(), kResultsFile));
  const auto store = ResultsStore::open(file, ResultsStore::Access::read_only);
  StudyResult result;
  try {
    study::read_head(read(*store, kHead, file), result);
    for (const auto& model : read(*store, kModels, file))
      result.models.push_back(study::read_model(model));
    const auto histories = read(*store, kHistories, file);
    const auto runs = store->runs();
    for (auto& model : result.models) {
      if (const auto found = histories.find(model.name); found != histories.end())
        model.history = study::read_history(*found);
      attach_certificates(model, *store, runs, file);
    }
    result.showcase = study::read_showcase(read(*store, kShowcase, file));
    result.demonstrations = study::read_demonstrations(read(*store, kDemonstrations, file));
    if (const auto worst = store->document(kWorst))  // older versions kept none
      result.worst = study::read_worst(json::parse(*worst));
  } catch (const json::exception& error) {
    throw Error(
        fmt::format("{}: the stored comparison cannot be read ({}); run 'smoothcert "
                    "compare' in this folder again",
                    file.string(), error.what()));
  }
  attach_votes(result);
  attach_worst(result);
  return result;
}

}  // namespace smoothcert
