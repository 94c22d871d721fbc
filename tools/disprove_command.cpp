// smoothcert disprove: points close to certified images that the smoothed classifier answers
// otherwise.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "commands.hpp"
#include "data_options.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/brackets.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/disprove.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/subsets.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

// So many contradictions by chance, or more: below this the program or a store is at fault.
constexpr double kDefect = 1e-4;

/// What became of one run.
struct Outcome {
  RunInfo run;
  std::size_t certified = 0;                          ///< images that were asked for
  std::map<std::uint32_t, Certificate> certificates;  ///< of its certified images
  std::vector<Disproof> tests;
  BracketSummary brackets;
  Contradictions contradictions;
};

class DisproveCommand : public Command {
 public:
  void define(CLI::App& app) override {
    add_model_options(app, model_);
    app.add_option("--store", store_, "Results store with the model's certificates, or its folder")
        ->type_name("FILE")
        ->capture_default_str();
    add_count_option(app, "--max", most_,
                     "Only so many certified images of each run, spread evenly");
    const std::string group = "The search";
    add_count_option(app, "--noises", settings_.noises,
                     "Fixed draws over which the attack's loss is the mean")
        ->group(group);
    add_count_option(app, "--steps", settings_.steps, "Steps of the attack at one radius")
        ->group(group);
    add_count_option(app, "--bisections", settings_.bisections,
                     "Of the radius, once a point was found")
        ->group(group);
    add_number_option(app, "--alpha", settings_.alpha,
                      "Level of the test at the point that was found")
        ->group("The test");
    add_count_option(app, "--samples", settings_.samples, "Fresh samples of the test")
        ->group("The test");
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    validate(settings_);
    const auto file = store_file(store_);
    // Looked at before it is opened for writing, which would make a store of an empty file.
    if (open_store(context, file)->runs().empty())
      throw Error(fmt::format("{}: holds no run to disprove", file.string()));
    const Network network = load_model(context, model_, "disprove", data_.data);
    const auto data = load_data(context, data_, Splits::test, false, network.spec.classes).test;
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    context.console.say(note);
    const auto model = backend->load(network);
    const auto store = open_store(context, file, ResultsStore::Access::read_write);
    std::vector<Outcome> outcomes;
    for (const RunInfo& run : store->runs()) {
      const RunSettings ours =
          make_run_settings(network, run.settings.model_name, *model, data, run.settings.certify);
      if (run_key(ours) != run.key) continue;
      if (noise_traits(run.settings.certify.noise).norm != Norm::l2) {
        context.console.say(fmt::format("run {} is of {}; the search is in L2, and leaves it out",
                                        run.id, noise_traits(run.settings.certify.noise).words));
        continue;
      }
      outcomes.push_back(disprove(context, *store, run, *model, data));
    }
    if (outcomes.empty())
      throw UsageError(
          fmt::format("disprove: no L2 run of {} is of this model, data set and program version",
                      file.string()));
    context.console.result(output_.json ? json_text(file, outcomes) : table(outcomes));
    for (const Outcome& outcome : outcomes)
      if (outcome.contradictions.p_value < kDefect)
        throw Error(fmt::format(
            "run {}: {} of {} confirmed points lie within the certified radius; chance explains it "
            "with "
            "p = {:.1e}, a defect of this program or a changed store otherwise; please report this",
            outcome.run.id, outcome.contradictions.contradictions, outcome.contradictions.tests,
            outcome.contradictions.p_value));
  }

 private:
  Outcome disprove(Context& context, ResultsStore& store, const RunInfo& run, BackendModel& model,
                   const Dataset& data) {
    Outcome outcome;
    outcome.run = run;
    std::set<std::uint32_t> tested;
    for (const Disproof& d : store.disproofs(run.id)) tested.insert(d.image);
    const auto certificates = store.certificates(run.id);
    std::vector<std::uint32_t> images;
    for (const Certificate& c : certificates)
      if (c.radius > 0) {
        images.push_back(c.image);
        outcome.certificates.emplace(c.image, c);
      }
    if (most_ > 0) images = spread_over(images, most_);
    outcome.certified = images.size();
    const std::string activity = fmt::format("disprove, run {}", run.id);
    for (std::size_t i = 0; i < images.size(); ++i) {
      context.console.progress(activity,
                               static_cast<double>(i) / static_cast<double>(images.size()),
                               fmt::format("{}/{} images", i, images.size()));
      if (tested.contains(images[i])) continue;
      const auto found = find_disproof(model, data, outcome.certificates.at(images[i]),
                                       run.settings.certify, settings_, context.stop);
      if (found) store.add_disproof(run.id, *found);
    }
    context.console.end_progress();
    outcome.tests = store.disproofs(run.id);
    std::erase_if(outcome.tests,
                  [&](const Disproof& d) { return !outcome.certificates.contains(d.image); });
    outcome.brackets = summarise(brackets(certificates, outcome.tests));
    double alpha = 0;
    for (const Disproof& d : outcome.tests) alpha = std::max(alpha, d.alpha);
    outcome.contradictions = contradictions(outcome.tests.size(), outcome.brackets.below,
                                            run.settings.certify.alpha, alpha);
    return outcome;
  }

  static std::string table(const std::vector<Outcome>& outcomes) {
    std::string text =
        fmt::format("{:>4}  {:<24}{:>7}{:>11}{:>8}{:>11}{:>17}{:>16}\n", "run", "model", "σ",
                    "certified", "tested", "confirmed", "median distance", "below radius");
    for (const Outcome& o : outcomes)
      text += fmt::format(
          "{:>4}  {:<24}{:>6}{:>11}{:>8}{:>11}{:>17}{:>16}\n", o.run.id, o.run.settings.model_name,
          format_shortest(o.run.settings.certify.sigma), o.certified, o.tests.size(),
          o.brackets.confirmed,
          o.brackets.confirmed == 0 ? "–" : format_fixed(o.brackets.ratio, 3) + " × radius",
          o.contradictions.contradictions);
    return text +
           "\nA confirmed point has another answer than the certificate, at the test's level; its "
           "distance is "
           "in certified radii.\nWhere none was found nothing is proved.\n";
  }

  static std::string json_text(const std::filesystem::path& file,
                               const std::vector<Outcome>& outcomes) {
    nlohmann::json runs = nlohmann::json::array();
    for (const Outcome& o : outcomes) {
      nlohmann::json rows = nlohmann::json::array();
      for (const Disproof& d : o.tests)
        rows.push_back({{"idx", d.image},
                        {"selected", o.certificates.at(d.image).selected},
                        {"rival", d.rival},
                        {"radius", o.certificates.at(d.image).radius},
                        {"distance", d.radius()},
                        {"votes_selected", d.votes_selected},
                        {"votes_rival", d.votes_rival},
                        {"samples", d.samples},
                        {"alpha", d.alpha},
                        {"p_value", disproof_p_value(d.votes_selected, d.votes_rival)},
                        {"confirmed", d.confirmed()},
                        {"seconds", d.seconds}});
      runs.push_back(
          {{"run", o.run.id},
           {"certified", o.certified},
           {"tested", o.tests.size()},
           {"confirmed", o.brackets.confirmed},
           {"median_ratio",
            o.brackets.confirmed == 0 ? nlohmann::json() : nlohmann::json(o.brackets.ratio)},
           {"below_radius", o.contradictions.contradictions},
           {"below_radius_p_value", o.contradictions.p_value},
           {"disproofs", std::move(rows)}});
    }
    return nlohmann::json{{"store", file.string()}, {"runs", std::move(runs)}}.dump(2) + "\n";
  }

  ModelOptions model_;
  std::string store_ = "results.sqlite";
  std::uint64_t most_ = 0;
  DisproofSettings settings_;
  DataOptions data_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_disprove_command() { return std::make_unique<DisproveCommand>(); }

}  // namespace smoothcert::cli
