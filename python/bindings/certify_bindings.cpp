// CERTIFY and PREDICT, with Ctrl-C and progress for an interpreter that waits.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <functional>

#include "arrays.hpp"
#include "bindings.hpp"
#include "models.hpp"
#include "renumbered.hpp"
#include "settings.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/external_model.hpp"
#include "smoothcert/predict.hpp"
#include "smoothcert/subsets.hpp"
#include "waiting.hpp"

namespace smoothcert::python {
namespace {

/// Of CERTIFY and PREDICT: images_done, images_total, samples_done, samples_total, seconds.
std::function<void(const CertifyProgress&)> told_by(const Tell& tell) {
  return [&tell](const CertifyProgress& p) {
    tell([p](const nb::object& on_progress) {
      on_progress(p.images_done, p.images_total, p.samples_done, p.samples_total, p.seconds);
    });
  };
}

nb::dict certify_images(Model& model, const Images& images, const std::string& name,
                        const std::vector<std::uint32_t>& indices,
                        const std::vector<std::uint32_t>& all_indices, const nb::dict& keywords,
                        const std::optional<std::string>& store_file,
                        const nb::object& on_progress, std::uint32_t first_image) {
  Model::Use use(model);
  const CertifySettings settings = settings_from(keywords);
  if (store_file && first_image != 0)
    throw UsageError("images that are numbered otherwise cannot be stored");
  const auto backend = renumbered(model.backend(), first_image);
  CertificationResult result;
  use.wait_for(on_progress, [&](const std::stop_token& stop, const Tell& tell) {
    CertifyCallbacks callbacks;
    callbacks.on_progress = told_by(tell);
    if (store_file) {
      const auto store = ResultsStore::open(*store_file, ResultsStore::Access::read_write);
      const CertificationRequest request{model.network(), name,    images.data,
                                         settings,        indices, all_indices};
      result = certify_into_store(*store, model.backend(), request, callbacks, stop);
      return;
    }
    if (auto* external = dynamic_cast<ExternalForward*>(backend.get());
        external != nullptr && !indices.empty())
      external->prepare(vote_settings(settings, images.data.shape),
                        images.data.image(indices.front()));
    result.run.settings =
        make_run_settings(model.network(), name, *backend, images.data, settings);
    result.run.key = run_key(result.run.settings);
    callbacks.on_certificate = [&](const Certificate& c) { result.certificates.push_back(c); };
    certify(*backend, images.data, indices, settings, {}, callbacks, stop);
    std::ranges::sort(result.certificates, {}, &Certificate::image);
    result.certified_images = result.certificates.size();
  });
  nb::dict out = certificates_table(result.certificates, result.run.settings.classes);
  out["settings"] = settings_dict(result.run.settings.certify);
  out["run"] = result.run.id;
  out["key"] = nb::str(result.run.key.c_str());
  out["guarantee"] =
      nb::str(guarantee_text(result.run.settings).c_str());
  out["precision"] = nb::str(result.run.settings.precision.c_str());
  out["external"] = nb::str(result.run.settings.external.c_str());
  out["model_hash"] = nb::str(result.run.settings.model_hash.c_str());
  out["resumed_images"] = result.resumed_images;
  out["resumed_samples"] = result.resumed_samples;
  out["certified_images"] = result.certified_images;
  out["resumed_line"] = nb::str(result.resumed_line().c_str());
  return out;
}

nb::dict predict_images(Model& model, const Images& images,
                        const std::vector<std::uint32_t>& indices, const nb::dict& keywords,
                        const nb::object& on_progress, std::uint32_t first_image) {
  Model::Use use(model);
  const CertifySettings settings = settings_from(keywords);
  const auto backend = renumbered(model.backend(), first_image);
  std::vector<Prediction> predictions;
  use.wait_for(on_progress, [&](const std::stop_token& stop, const Tell& tell) {
    predict(
        *backend, images.data, indices, settings,
        [&](const Prediction& p) { predictions.push_back(p); }, told_by(tell), stop);
  });
  const auto classes = static_cast<std::size_t>(model.backend().spec().classes);
  std::vector<std::uint32_t> index;
  std::vector<std::int64_t> prediction;
  std::vector<double> p_value;
  std::vector<std::uint64_t> counts, invalid;
  for (const Prediction& p : predictions) {
    index.push_back(p.image);
    prediction.push_back(p.prediction);
    p_value.push_back(p.p_value);
    counts.insert(counts.end(), p.counts.counts.begin(), p.counts.counts.end());
    invalid.push_back(p.counts.invalid);
  }
  nb::dict out;
  const std::size_t count = index.size();
  out["index"] = to_numpy(std::move(index));
  out["prediction"] = to_numpy(std::move(prediction));
  out["p_value"] = to_numpy(std::move(p_value));
  out["counts"] = to_numpy(std::move(counts), {count, classes});
  out["invalid"] = to_numpy(std::move(invalid));
  return out;
}

/// Seconds of a tile's noise and forward pass: what estimates are made of.
nb::dict pace(Model& model, const Images& images, std::uint32_t index, const nb::dict& keywords) {
  Model::Use use(model);
  const CertifySettings settings = settings_from(keywords);
  auto* external = dynamic_cast<ExternalModel*>(&model.backend());
  if (external == nullptr) throw UsageError("estimate: the model is not external");
  RowFindings found;
  use.wait_for(nb::none(), [&](const std::stop_token&, const Tell&) {
    found =
        external->check_rows(vote_settings(settings, images.data.shape), images.data.image(index));
  });
  nb::dict out;
  out["seconds_per_tile"] = found.seconds_per_tile;
  out["noise_seconds_per_tile"] = found.noise_seconds_per_tile;
  out["batch_dependent"] = found.batch_dependent;
  out["position_dependent"] = found.position_dependent;
  return out;
}

std::vector<std::uint32_t> shard_of(const std::vector<std::uint32_t>& indices, std::uint32_t part,
                                    std::uint32_t parts) {
  return shard_indices(indices, parse_shard(std::to_string(part) + "/" + std::to_string(parts)));
}

}  // namespace

void bind_certify(nb::module_& m) {
  using namespace nb::literals;
  m.def("certify", &certify_images, "model"_a, "images"_a, "name"_a, "indices"_a, "all_indices"_a,
        "keywords"_a, "store"_a.none(), "on_progress"_a.none(), "first_image"_a = 0);
  m.def("predict", &predict_images, "model"_a, "images"_a, "indices"_a, "keywords"_a,
        "on_progress"_a.none(), "first_image"_a = 0);
  m.def("pace", &pace, "model"_a, "images"_a, "index"_a, "keywords"_a);
  m.def("shard_indices", &shard_of, "indices"_a, "part"_a, "parts"_a);
}

}  // namespace smoothcert::python
