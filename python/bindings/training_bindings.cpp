// Training, and the comparison of ways to train.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "arrays.hpp"
#include "bindings.hpp"
#include "models.hpp"
#include "settings.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/compare.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/recipe_changes.hpp"
#include "smoothcert/report.hpp"
#include "smoothcert/training_state.hpp"
#include "waiting.hpp"

namespace smoothcert::python {
namespace {

/// A built-in name, or JSON that `where` names.
TrainRecipe recipe_from(const std::string& name, const std::optional<std::string>& json,
                        const nb::dict& k) {
  RecipeChanges changes;
  const auto take = [&]<class T>(const char* key, std::optional<T>& to) {
    if (!k[key].is_none()) to = nb::cast<T>(k[key]);
  };
  take("epochs", changes.epochs);
  take("batch_size", changes.batch_size);
  take("learning_rate", changes.learning_rate);
  take("sigma", changes.sigma);
  take("lambda_", changes.lambda);
  take("epsilon", changes.epsilon);
  TrainRecipe recipe = changed(json ? parse_recipe(*json, name) : builtin_recipe(name), changes, "");
  validate(recipe);
  return recipe;
}

/// The recipe's network where `network` is none; a Network, or the name or file of one.
NetworkSpec spec_of(const nb::object& network, const TrainRecipe& recipe) {
  if (network.is_none()) return network_by_name(recipe.network);
  if (nb::isinstance<Network>(network)) return nb::cast<const Network&>(network).spec;
  return network_by_name(nb::cast<std::string>(network));
}

nb::tuple train_network(const Images& images, const std::string& recipe_name,
                        const std::optional<std::string>& recipe_json, const nb::dict& changes,
                        const nb::object& network, std::uint64_t seed, std::uint64_t most,
                        const std::optional<std::string>& out, const std::string& device,
                        int threads, const nb::object& on_progress) {
  const TrainRecipe recipe = recipe_from(recipe_name, recipe_json, changes);
  const NetworkSpec spec = spec_of(network, recipe);
  TrainResult result;
  std::vector<std::string> lines;
  wait_for(on_progress, [&](const std::stop_token& stop, const Tell& tell) {
    std::string note;
    const auto backend = make_backend(device, threads, &note);
    lines.push_back(note);
    TrainOptions options;
    options.seed = seed;
    options.stop = stop;
    if (most > 0 && most < images.data.size()) {
      options.indices.resize(most);
      std::iota(options.indices.begin(), options.indices.end(), 0u);
    }
    options.on_step = [&](int epoch, const StepReport& step) {
      tell([=, epochs = recipe.epochs](const nb::object& f) {
        f(epoch, epochs, step.step, step.steps_in_epoch, step.loss, step.accuracy);
      });
    };
    if (!out) {
      result = train(*backend, spec, recipe, images.data, options);
      return;
    }
    const std::filesystem::path state = *out + ".resume";
    result = train_resumably(*backend, spec, recipe, images.data, options, state,
                             [&](std::string_view line) { lines.emplace_back(line); });
    save_network(result.network, *out);
    std::filesystem::remove(state);
  });
  nb::dict history;
  history["step_loss"] = to_numpy(std::move(result.history.step_loss));
  history["step_accuracy"] = to_numpy(std::move(result.history.step_accuracy));
  history["epoch_seconds"] = to_numpy(std::move(result.history.epoch_seconds));
  return nb::make_tuple(std::move(result.network), history, std::move(lines));
}

nb::dict compare_recipes(const Images& train_images, const Images& test_images, const nb::dict& k,
                         const nb::dict& certify_keywords, const std::string& device, int threads,
                         const nb::object& on_progress) {
  CompareOptions options;
  options.folder = nb::cast<std::string>(k["out"]);
  options.network = nb::cast<std::string>(k["network"]);
  options.recipes = nb::cast<std::vector<std::string>>(k["recipes"]);
  options.seed = nb::cast<std::uint64_t>(k["seed"]);
  options.train_images = nb::cast<std::uint64_t>(k["train_images"]);
  options.attack_images = nb::cast<std::uint64_t>(k["attack_images"]);
  options.images = nb::cast<std::uint64_t>(k["images"]);
  options.time_budget = nb::cast<double>(k["time_budget"]);
  options.command = nb::cast<std::string>(k["command"]);
  options.certify = settings_from(certify_keywords);
  if (noise_traits(options.certify.noise).norm != Norm::l2)
    throw UsageError(std::string("noise: the comparison is about L2 radii; ") +
                     noise_traits(options.certify.noise).words + " certifies L1, with certify()");
  std::string summary, html;
  std::vector<std::string> lines;
  wait_for(on_progress, [&](const std::stop_token& stop, const Tell& tell) {
    std::string note;
    const auto backend = make_backend(device, threads, &note);
    lines.push_back(note);
    CompareObserver observer;
    observer.say = [&](std::string_view line) { lines.emplace_back(line); };
    observer.progress = [&](std::string_view activity, double fraction, std::string_view detail) {
      tell([activity = std::string(activity), fraction,
            detail = std::string(detail)](const nb::object& f) { f(activity, fraction, detail); });
    };
    const StudyResult study =
        compare(*backend, train_images.data, test_images.data, options, observer, stop);
    const ReportFiles files = write_report(study, options.folder);
    lines.push_back(files.note);
    summary = study_summary_json(study);
    html = files.html.string();
  });
  nb::dict out;
  out["summary"] = nb::str(summary.c_str());
  out["report"] = nb::str(html.c_str());
  out["notes"] = nb::cast(lines);
  return out;
}

}  // namespace

void bind_training(nb::module_& m) {
  using namespace nb::literals;
  m.def("train", &train_network, "images"_a, "recipe"_a, "recipe_json"_a.none(), "changes"_a,
        "network"_a.none(), "seed"_a, "most"_a, "out"_a.none(), "device"_a, "threads"_a,
        "on_progress"_a.none());
  m.def("compare", &compare_recipes, "train"_a, "test"_a, "options"_a, "certify"_a, "device"_a,
        "threads"_a, "on_progress"_a.none());
}

}  // namespace smoothcert::python
