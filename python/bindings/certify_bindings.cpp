// CERTIFY and PREDICT, with Ctrl-C and progress for an interpreter that waits.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "arrays.hpp"
#include "bindings.hpp"
#include "models.hpp"
#include "settings.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/external_model.hpp"
#include "smoothcert/predict.hpp"
#include "smoothcert/subsets.hpp"

namespace smoothcert::python {
namespace {

/// Runs `work(stop, on_progress)` on a thread of its own. The caller's thread waits without the GIL
/// and takes it five times a second: for signals, so that Ctrl-C stops the run, and for progress.
/// An exception of Python ends the run cleanly and is raised when it has ended.
template <class Work>
void wait_for(const nb::object& on_progress, Work&& work) {
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  std::optional<CertifyProgress> latest;
  std::exception_ptr failure, raised;
  {
    const nb::gil_scoped_release release;
    std::thread worker([&] {
      try {
        work(stop.get_token(), [&](const CertifyProgress& progress) {
          const std::lock_guard lock(mutex);
          latest = progress;
        });
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      done = true;
      ended.notify_all();
    });
    std::unique_lock lock(mutex);
    for (bool last = false; !last;) {
      last = ended.wait_for(lock, std::chrono::milliseconds(200), [&] { return done; });
      const std::optional<CertifyProgress> progress = std::exchange(latest, std::nullopt);
      lock.unlock();
      try {
        const nb::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (progress && !on_progress.is_none())
          on_progress(progress->images_done, progress->images_total, progress->samples_done,
                      progress->samples_total, progress->seconds);
      } catch (...) {
        if (!raised) raised = std::current_exception();
        stop.request_stop();
      }
      lock.lock();
    }
    lock.unlock();
    worker.join();
  }
  if (raised) std::rethrow_exception(raised);
  if (failure) std::rethrow_exception(failure);
}

nb::dict certify_images(Model& model, const Images& images, const std::string& name,
                        const std::vector<std::uint32_t>& indices,
                        const std::vector<std::uint32_t>& all_indices, const nb::dict& keywords,
                        const std::optional<std::string>& store_file,
                        const nb::object& on_progress) {
  const Model::Use use(model);
  const CertifySettings settings = settings_from(keywords);
  CertificationResult result;
  wait_for(on_progress, [&](const std::stop_token& stop, const auto& progress) {
    CertifyCallbacks callbacks;
    callbacks.on_progress = progress;
    if (store_file) {
      const auto store = ResultsStore::open(*store_file, ResultsStore::Access::read_write);
      const CertificationRequest request{model.network(), name,    images.data,
                                         settings,        indices, all_indices};
      result = certify_into_store(*store, model.backend(), request, callbacks, stop);
      return;
    }
    if (auto* external = dynamic_cast<ExternalForward*>(&model.backend());
        external != nullptr && !indices.empty())
      external->prepare(vote_settings(settings, images.data.shape),
                        images.data.image(indices.front()));
    result.run.settings =
        make_run_settings(model.network(), name, model.backend(), images.data, settings);
    result.run.key = run_key(result.run.settings);
    callbacks.on_certificate = [&](const Certificate& c) { result.certificates.push_back(c); };
    certify(model.backend(), images.data, indices, settings, {}, callbacks, stop);
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
                        const nb::object& on_progress) {
  const Model::Use use(model);
  const CertifySettings settings = settings_from(keywords);
  std::vector<Prediction> predictions;
  wait_for(on_progress, [&](const std::stop_token& stop, const auto& progress) {
    predict(
        model.backend(), images.data, indices, settings,
        [&](const Prediction& p) { predictions.push_back(p); }, progress, stop);
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
  const Model::Use use(model);
  const CertifySettings settings = settings_from(keywords);
  auto* external = dynamic_cast<ExternalModel*>(&model.backend());
  if (external == nullptr) throw UsageError("estimate: the model is not external");
  RowFindings found;
  wait_for(nb::none(), [&](const std::stop_token&, const auto&) {
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
        "keywords"_a, "store"_a.none(), "on_progress"_a.none());
  m.def("predict", &predict_images, "model"_a, "images"_a, "indices"_a, "keywords"_a,
        "on_progress"_a.none());
  m.def("pace", &pace, "model"_a, "images"_a, "index"_a, "keywords"_a);
  m.def("shard_indices", &shard_of, "indices"_a, "part"_a, "parts"_a);
}

}  // namespace smoothcert::python
