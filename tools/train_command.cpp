// smoothcert train: one model by a recipe.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "commands.hpp"
#include "data_options.hpp"
#include "options.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/recipe_changes.hpp"
#include "smoothcert/train.hpp"
#include "smoothcert/training_state.hpp"
#include "util/atomic_file.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

class TrainCommand : public Command {
 public:
  void define(CLI::App& app) override {
    const std::string group = "Training";
    app.add_option(
           "RECIPE", recipe_,
           "normal, adversarial, smoothing, adversarial-strong, lenet-gaussian, mnist-split, or "
           "a JSON file (docs/recipes.md)")
        ->capture_default_str();
    app.add_option("-o,--out", out_, "Model file to write (RECIPE.safetensors)")->type_name("FILE");
    app.add_option("--network", network_,
                   "Built-in name, or a JSON description (docs/network-format.md); the recipe's "
                   "without it")
        ->type_name("NAME|FILE")
        ->capture_default_str()
        ->group(group);
    app.add_option("--history", history_, "Write loss and accuracy of every step here, as JSON")
        ->type_name("FILE")
        ->group(group);
    add_positive_count_option(app, "--epochs", changes_.epochs, "Epochs; the recipe's without it")
        ->group(group);
    add_positive_count_option(app, "--batch-size", changes_.batch_size,
                              "Batch size; the recipe's without it")
        ->group(group);
    add_positive_option(app, "--learning-rate", changes_.learning_rate,
                        "Learning rate; the recipe's without it")
        ->group(group);
    add_positive_option(app, "--sigma", changes_.sigma, "Noise σ of smoothing recipes")
        ->group(group);
    add_positive_option(
        app, "--lambda", changes_.lambda,
        "λ of splitting noise, of mnist-split and recipes that name one; 0.5 or more")
        ->group(group);
    add_positive_option(app, "--epsilon", changes_.epsilon,
                        "Attack size of adversarial recipes, as in 0.5 or 8/255")
        ->group(group);
    add_count_option(app, "--train-images", images_,
                     "The first N training images only; 0 takes all")
        ->group(group);
    app.add_flag("--force", force_, "Replace a model file that is there");
    add_seed_option(app, seed_, "Seed of initialisation, order and noise");
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    auto& console = context.console;
    const auto recipe = make_recipe();
    const auto spec = network_by_name(network_.empty() ? recipe.network : network_);
    const std::filesystem::path out = out_.empty() ? recipe.name + ".safetensors" : out_;
    require_writable(out);
    refuse_to_replace(out);
    if (!history_.empty()) require_writable(history_);
    const auto data = load_data(context, data_, Splits::train, false, spec.classes).train;
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    console.say(note);
    console.say("network: " + spec.name);

    TrainOptions options;
    options.seed = seed_;
    options.stop = context.stop;
    if (images_ > 0 && images_ < data.size()) {
      options.indices.resize(images_);
      std::iota(options.indices.begin(), options.indices.end(), 0u);
    }
    options.on_step = [&](int epoch, const StepReport& step) {
      const auto steps = std::max<std::uint64_t>(1, step.steps_in_epoch);
      const double part = static_cast<double>(step.step % steps + 1) / static_cast<double>(steps);
      console.progress("train " + recipe.name, (epoch + part) / recipe.epochs,
                       fmt::format("epoch {}/{}, loss {:.3f}, accuracy {:.1f} %", epoch + 1,
                                   recipe.epochs, step.loss, 100 * step.accuracy));
    };
    const std::filesystem::path state = out.string() + ".resume";
    TrainResult result;
    try {
      result = train_resumably(*backend, spec, recipe, data, options, state,
                               [&](std::string_view line) { console.say(line); });
    } catch (const Interrupted&) {
      throw Interrupted(
          std::filesystem::exists(state)
              ? fmt::format("stopped; the last finished epoch is kept in {}. To go on: {}",
                            state.string(), context.command_line)
              : fmt::format("stopped before the first epoch was finished. To train again: {}",
                            context.command_line));
    }
    console.end_progress();
    save_network(result.network, out);
    std::filesystem::remove(state);
    report(console, result, recipe, out);
  }

 private:
  /// Hours of training are not lost to the same command given twice. A device or a pipe holds
  /// nothing.
  void refuse_to_replace(const std::filesystem::path& out) const {
    std::error_code ignored;
    if (force_ || is_special_file(out) || !std::filesystem::exists(out, ignored)) return;
    if (std::filesystem::exists(out.string() + ".resume", ignored)) return;  // it goes on
    throw UsageError(fmt::format(
        "train: {} is there already; choose another name with --out, or --force replaces it",
        out.string()));
  }

  TrainRecipe make_recipe() const { return changed(read_recipe(), changes_, "--"); }

  TrainRecipe read_recipe() const {
    if (!recipe_.ends_with(".json")) return builtin_recipe(recipe_);
    const auto bytes = read_file(recipe_, std::size_t{1} << 20);
    return parse_recipe({bytes.begin(), bytes.end()}, recipe_);
  }

  void report(Console& console, const TrainResult& result, const TrainRecipe& recipe,
              const std::filesystem::path& out) const {
    const auto& h = result.history;
    const double seconds = std::accumulate(h.epoch_seconds.begin(), h.epoch_seconds.end(), 0.0);
    const double loss = h.step_loss.empty() ? 0 : h.step_loss.back();
    const double accuracy = h.step_accuracy.empty() ? 0 : h.step_accuracy.back();
    if (!history_.empty())
      write_file_atomically(history_,
                            std::string_view(nlohmann::json{{"step_loss", h.step_loss},
                                                            {"step_accuracy", h.step_accuracy},
                                                            {"epoch_seconds", h.epoch_seconds}}
                                                 .dump() +
                                             "\n"));
    if (output_.json)
      console.result(nlohmann::json{{"file", out.string()},
                                    {"hash", model_hash(result.network)},
                                    {"recipe", recipe.name},
                                    {"epochs", recipe.epochs},
                                    {"steps", h.step_loss.size()},
                                    {"loss", loss},
                                    {"accuracy", accuracy},
                                    {"seconds", seconds}}
                         .dump(2) +
                     "\n");
    else
      console.result(
          fmt::format("{}: {} epochs, {} steps in {}; last batch: loss {:.4f}, accuracy "
                      "{} %\nmodel: {}\n",
                      recipe.name, recipe.epochs, h.step_loss.size(), format_duration(seconds),
                      loss, format_percent(accuracy, 1), out.string()));
  }

  std::string recipe_ = "normal", out_, network_, history_;
  bool force_ = false;
  RecipeChanges changes_;
  std::uint64_t images_ = 0, seed_ = 0;
  DataOptions data_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_train_command() { return std::make_unique<TrainCommand>(); }

}  // namespace smoothcert::cli
