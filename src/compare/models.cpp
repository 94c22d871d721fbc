// The models of a comparison: trained, or taken from an earlier run of the same one; then attacked.
#include "compare/models.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/version.hpp"
#include "study/study_json.hpp"
#include "util/format_number.hpp"

namespace smoothcert::compare_detail {
namespace {

using nlohmann::json;

constexpr const char* kAttacks[] = {"l1", "l1-steepest", "l2", "linf", "pgd-l2", "pgd-linf"};

/// What must be equal for a stored model to be this one.
std::string training_identity(const Work& work, const NetworkSpec& spec,
                              const std::string& recipe) {
  return json{{"network", network_spec_json(spec)},  {"recipe", recipe},
              {"seed", work.options.seed},           {"data", work.train.sha256},
              {"images", work.options.train_images}, {"version", kVersion}}
      .dump();
}

struct Trained {
  Network network;
  TrainHistory history;
};

/// The model of an earlier run: its file and its history must both be there and belong together.
std::optional<Trained> find_trained(const Work& work, const std::filesystem::path& file,
                                    const std::string& document, const std::string& identity) {
  const auto text = work.store.document(document);
  if (!text || !std::filesystem::exists(file)) return std::nullopt;
  const auto stored = json::parse(*text, nullptr, false);
  if (stored.is_discarded() || stored.value("identity", "") != identity) return std::nullopt;
  auto network = load_network(file);
  if (model_hash(network) != stored.value("hash", "")) return std::nullopt;
  return Trained{std::move(network), study::read_history(stored.at("history"))};
}

Trained train_model(const Work& work, const NetworkSpec& spec, const TrainRecipe& recipe) {
  TrainOptions options;
  options.seed = work.options.seed;
  options.stop = work.stop;
  if (work.options.train_images > 0 && work.options.train_images < work.train.size()) {
    options.indices.resize(work.options.train_images);
    std::iota(options.indices.begin(), options.indices.end(), 0u);
  }
  const std::string activity = "train " + recipe.name;
  options.on_step = [&](int epoch, const StepReport& step) {
    const auto steps = static_cast<double>(std::max<std::uint64_t>(1, step.steps_in_epoch));
    const double in_epoch =
        static_cast<double>(step.step % std::max<std::uint64_t>(1, step.steps_in_epoch)) + 1;
    work.progress(activity, (epoch + in_epoch / steps) / recipe.epochs,
                  fmt::format("epoch {}/{}, loss {:.3f}, accuracy {:.1f} %", epoch + 1,
                              recipe.epochs, step.loss, 100 * step.accuracy));
  };
  auto result = train(work.backend, spec, recipe, work.train, options);
  return {std::move(result.network), std::move(result.history)};
}

json attack_identity(const StudyModel& model, std::span<const std::uint32_t> indices,
                     const Dataset& test) {
  return {{"hash", model.hash},
          {"data", test.sha256},
          {"images", indices.size()},
          {"attacks", kAttacks}};
}

}  // namespace

Network make_model(const Work& work, const std::string& recipe_name, StudyModel& model) {
  const auto recipe = builtin_recipe(recipe_name);
  auto spec = builtin_network(work.options.network);
  model.name = recipe_name;
  model.file = fmt::format("models/{}.safetensors", recipe_name);
  model.network = spec.name;
  model.parameters = trainable_parameters(spec);
  const auto file = work.options.folder / model.file;
  const std::string document = "study/training/" + recipe_name;
  const auto identity = training_identity(work, spec, recipe_name);

  auto trained = find_trained(work, file, document, identity);
  if (trained) {
    work.say(fmt::format("{}: trained already ({})", recipe_name, file.string()));
  } else {
    trained = train_model(work, spec, recipe);
    save_network(trained->network, file);
    work.store.put_document(document, json{{"identity", identity},
                                           {"hash", model_hash(trained->network)},
                                           {"history", study::history_json(trained->history)}}
                                          .dump());
    work.store.flush();
    const auto& seconds = trained->history.epoch_seconds;
    work.say(fmt::format("{}: trained {} {} in {}", recipe_name, recipe.epochs,
                         recipe.epochs == 1 ? "epoch" : "epochs",
                         format_duration(std::accumulate(seconds.begin(), seconds.end(), 0.0))));
  }
  model.hash = model_hash(trained->network);
  model.record = trained->network.record;
  model.history = std::move(trained->history);
  return std::move(trained->network);
}

void attack_model(const Work& work, BackendModel& loaded, std::span<const std::uint32_t> indices,
                  StudyModel& model) {
  const std::string document = "study/attacks/" + model.name;
  const auto identity = attack_identity(model, indices, work.test);
  if (const auto text = work.store.document(document)) {
    const auto stored = json::parse(*text, nullptr, false);
    if (!stored.is_discarded() && stored.value("identity", json()) == identity) {
      model.clean_accuracy = stored.at("clean_accuracy");
      model.attacks = study::read_attacks(stored.at("attacks"));
      return;
    }
  }
  const std::string activity = "attack " + model.name;
  work.progress(activity, 0, "clean accuracy");
  model.clean_accuracy = clean_accuracy(loaded, work.test, indices);
  double done = 1;
  const double total = 1 + std::size(kAttacks);
  for (const auto* name : kAttacks) {
    work.progress(activity, done++ / total, name);
    model.attacks.push_back(
        attack_accuracy(loaded, attack_from_name(name), work.test, indices, work.stop));
  }
  work.store.put_document(document, json{{"identity", identity},
                                         {"clean_accuracy", model.clean_accuracy},
                                         {"attacks", study::attacks_json(model.attacks)}}
                                        .dump());
  work.store.flush();
}

}  // namespace smoothcert::compare_detail
