// smoothcert disprove: points close to certified images that the smoothed classifier answers
// otherwise.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "data_options.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/disproof_campaign.hpp"
#include "smoothcert/error.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

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
    DisproofObserver observer;
    observer.say = [&](std::string_view line) { context.console.say(std::string(line)); };
    observer.progress = [&](std::int64_t run, std::size_t done, std::size_t images) {
      context.console.progress(fmt::format("disprove, run {}", run),
                               static_cast<double>(done) / static_cast<double>(images),
                               fmt::format("{}/{} images", done, images));
    };
    const auto outcomes = disprove_into_store(
        *store, *model, {network, data, settings_, file.string(), most_}, observer, context.stop);
    context.console.end_progress();
    context.console.result(output_.json ? json_text(file, outcomes) : table(outcomes));
    require_no_defect(outcomes);
  }

 private:
  static std::string table(const std::vector<DisprovedRun>& outcomes) {
    std::string text =
        fmt::format("{:>4}  {:<24}{:>7}{:>11}{:>8}{:>11}{:>17}{:>16}\n", "run", "model", "σ",
                    "certified", "tested", "confirmed", "median distance", "below radius");
    for (const DisprovedRun& o : outcomes)
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
                               const std::vector<DisprovedRun>& outcomes) {
    nlohmann::json runs = nlohmann::json::array();
    for (const DisprovedRun& o : outcomes) {
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
