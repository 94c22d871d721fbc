// smoothcert attack: accuracy of one model under gradient attacks.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "certify_options.hpp"
#include "commands.hpp"
#include "data_options.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "smoothcert/attack.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

class AttackCommand : public Command {
 public:
  void define(CLI::App& app) override {
    const std::string group = "Attack";
    add_model_options(app, model_);
    app.add_option("--attack", attacks_, "l1, l1-steepest, l2, linf, pgd-l2, pgd-linf")
        ->type_name("NAMES")
        ->delimiter(',')
        ->default_str("all of them")
        ->group(group);
    add_positive_option(app, "--epsilon", epsilon_,
                        "Size, as in 0.5 or 8/255; the study's for each norm without it")
        ->group(group);
    add_positive_count_option(app, "--steps", steps_, "PGD steps", 1'000'000)->group(group);
    add_positive_option(app, "--step-size", step_size_, "PGD step; 2.5·ε/steps without it")
        ->group(group);
    add_positive_count_option(app, "--restarts", restarts_,
                              "PGD random starts; the strongest counts", 1'000'000)
        ->default_str("1")
        ->group(group);
    app.add_flag("--random-start", random_start_, "PGD starts anywhere in the ball")->group(group);
    add_seed_option(app, seed_, "Seed of the random starts");
    add_subset_options(app, subset_);
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    auto& console = context.console;
    std::vector<AttackSpec> specs;
    for (const auto& name : attacks_) specs.push_back(make_spec(name));
    const bool of_pgd = steps_ || step_size_ || restarts_ || random_start_;
    if (of_pgd && std::ranges::none_of(specs, &AttackSpec::projected))
      throw UsageError(
          "attack: --steps, --step-size, --restarts and --random-start are of pgd-l2 and pgd-linf; "
          "the attacks asked for take one step");
    const auto network = load_model(context, model_, "attack", data_.data);
    const auto data = load_data(context, data_, Splits::test, false, network.spec.classes).test;
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    console.say(note);
    const auto loaded = backend->load(network);
    const auto indices = subset_indices(subset_, data.size());
    console.progress("attack", 0, "clean accuracy");
    const double clean = clean_accuracy(*loaded, data, indices);
    std::vector<AttackReport> reports;
    for (const auto& spec : specs) {
      console.progress(
          "attack", static_cast<double>(reports.size() + 1) / static_cast<double>(specs.size() + 1),
          to_name(spec.kind));
      reports.push_back(attack_accuracy(*loaded, spec, data, indices, context.stop));
    }
    console.end_progress();
    console.result(output_.json ? json_text(clean, indices.size(), reports)
                                : table(clean, indices.size(), reports));
  }

 private:
  AttackSpec make_spec(const std::string& name) const {
    auto spec = attack_from_name(name);
    if (epsilon_) spec.epsilon = *epsilon_;
    const bool pgd = spec.projected();
    if (pgd) {
      if (steps_) spec.steps = *steps_;
      if (step_size_) spec.step_size = *step_size_;
      spec.restarts = restarts_.value_or(1);
      spec.random_start = random_start_ || spec.restarts > 1;
    }
    spec.seed = seed_;
    return spec;
  }

  static std::string table(double clean, std::size_t images,
                           const std::vector<AttackReport>& reports) {
    std::string text =
        fmt::format("{:<14}{:>9}{:>15}{:>10}{:>10}{:>16}{:>15}\n", "attack", "ε", "cross-entropy",
                    "margin", "worse", "zero gradients", "NaN gradients");
    text += fmt::format("{:<14}{:>9}{:>13} %{:>25}\n", "none", "", format_percent(clean, 2),
                        fmt::format("({})", counted(images, "image")));
    for (const auto& r : reports)
      text += fmt::format("{:<14}{:>9}{:>13} %{:>8} %{:>8} %{:>16}{:>15}\n", to_name(r.spec.kind),
                          format_shortest(r.spec.epsilon),
                          format_percent(share(r.correct_cross_entropy, r.images), 2),
                          format_percent(share(r.correct_margin, r.images), 2),
                          format_percent(share(r.correct_worst, r.images), 2), r.zero_gradient,
                          r.nan_gradient);
    if (std::any_of(reports.begin(), reports.end(), [](const auto& r) { return r.nan_gradient; }))
      text +=
          "NaN gradients: images with a step that leads to NaN; it was not taken, and breaks "
          "nothing.\n";
    return text +
           "worse: correct under both losses; the figure to quote. The study attacks the "
           "cross-entropy, with an L2 step of its own that depends on its batch size.\n";
  }

  static std::string json_text(double clean, std::size_t images,
                               const std::vector<AttackReport>& reports) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& r : reports)
      list.push_back({{"attack", to_name(r.spec.kind)},
                      {"epsilon", r.spec.epsilon},
                      {"steps", r.spec.steps},
                      {"images", r.images},
                      {"accuracy_cross_entropy", share(r.correct_cross_entropy, r.images)},
                      {"accuracy_margin", share(r.correct_margin, r.images)},
                      {"accuracy_worst", share(r.correct_worst, r.images)},
                      {"zero_gradient", r.zero_gradient},
                      {"nan_gradient", r.nan_gradient},
                      {"seconds", r.seconds}});
    return nlohmann::json{{"clean_accuracy", clean}, {"images", images}, {"attacks", list}}.dump(
               2) +
           "\n";
  }

  ModelOptions model_;
  std::vector<std::string> attacks_ = {"l1", "l1-steepest", "l2", "linf", "pgd-l2", "pgd-linf"};
  std::optional<double> epsilon_, step_size_;
  std::optional<int> steps_, restarts_;
  bool random_start_ = false;
  std::uint64_t seed_ = 0;
  SubsetOptions subset_;
  DataOptions data_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_attack_command() { return std::make_unique<AttackCommand>(); }

}  // namespace smoothcert::cli
