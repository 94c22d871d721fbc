// smoothcert bench: how fast a model is certified and attacked on this machine.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.hpp"
#include "options.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/throughput.hpp"
#include "smoothcert/version.hpp"
#include "util/atomic_file.hpp"
#include "util/format_number.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert::cli {
namespace {

/// One line of the table.
struct Row {
  std::string what, noise, mode;  ///< "certify" with its noise and mode, or "attack"
  Throughput speed;
};

class BenchCommand : public Command {
 public:
  void define(CLI::App& app) override {
    const std::string group = "Measurement";
    app.add_option("MODEL", model_,
                   "Model file, built-in network or JSON description (the last two with random "
                   "weights: the speed does not depend on them)")
        ->capture_default_str();
    app.add_option("--noise", noises_,
                   "lattice, gaussian, uniform, split, or none for attacks only")
        ->type_name("NAMES")
        ->delimiter(',')
        ->default_str("both")
        ->group(group);
    app.add_option("--mode", modes_, "exact, fast")
        ->type_name("NAMES")
        ->delimiter(',')
        ->default_str("both")
        ->group(group);
    app.add_option("--attack", attacks_, "Attacks to time, as of 'smoothcert attack', or none")
        ->type_name("NAMES")
        ->delimiter(',')
        ->default_str("l2,pgd-l2")
        ->group(group);
    add_number_option(app, "--sigma", sigma_,
                      "Noise σ (of uniform and split λ), in units of [0,1] pixels")
        ->group(group);
    app.add_flag("--no-clamp", no_clamp_, "Do not clamp noisy pixels to [0,1]")->group(group);
    add_number_option(app, "--seconds", settings_.seconds, "Of one measurement")->group(group);
    settings_.spread = 0.02;
    app.add_option("--repeats", settings_.repeats,
                   "Measurements of each at least, of which the median")
        ->type_name("N")
        ->capture_default_str()
        ->group(group);
    add_number_option(app, "--spread", settings_.spread,
                      "Go on until the quartiles are this share of the median apart")
        ->group(group);
    app.add_option("--most", settings_.most, "Measurements of each at most")
        ->type_name("N")
        ->capture_default_str()
        ->group(group);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    check_names();
    const auto network = load();
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    context.console.say(note);
    const auto model = backend->load(network);
    std::vector<Row> rows;
    for (const auto& noise : noises_)
      for (const auto& mode : modes_)
        if (noise != "none") time_votes(context, *model, noise, mode, rows);
    for (const auto& name : attacks_)
      if (name != "none") {
        const auto attack = attack_from_name(name);
        rows.push_back({"attack", "", "",
                        measure_attack(*model, attack, settings_,
                                       progress(context, "attack " + name), context.stop)});
      }
    context.console.end_progress();
    for (const Row& row : rows) say_unsteady(context, row);
    context.console.result(output_.json ? json_text(network, *backend, rows)
                                        : table(network, *backend, rows));
  }

 private:
  void check_names() const {
    for (const auto& noise : noises_)
      if (noise != "none") from_name<NoiseLaw>(noise, "--noise");
    for (const auto& mode : modes_) from_name<Mode>(mode, "--mode");
    for (const auto& name : attacks_)
      if (name != "none") attack_from_name(name);
    if (!(sigma_ > 0)) throw UsageError("--sigma: it must be above 0");
    if (!(settings_.spread > 0)) throw UsageError("--spread: it must be above 0");
    if (settings_.most < settings_.repeats)
      throw UsageError(fmt::format("--most: {} is less than the {} of --repeats", settings_.most,
                                   settings_.repeats));
  }

  Network load() const {
    const auto names = builtin_network_names();
    if (std::find(names.begin(), names.end(), model_) != names.end())
      return initialise(builtin_network(model_), 0);
    if (model_.ends_with(".json")) {
      const auto bytes = read_file(model_, std::size_t{1} << 20);
      return initialise(parse_network_spec({bytes.begin(), bytes.end()}, model_), 0);
    }
    if (!std::filesystem::exists(model_))
      throw UsageError(fmt::format("bench: no such file; as a built-in network: {}",
                                   unknown_name_message("network", model_, names)));
    std::vector<std::string> notes;
    return load_model(model_, "", &notes);
  }

  ThroughputProgress progress(Context& context, std::string activity) const {
    return [&console = context.console, activity = std::move(activity),
            repeats = settings_.repeats](int done) {
      console.progress(activity, std::min(1.0, static_cast<double>(done) / repeats),
                       fmt::format("{}/{}", done, repeats));
    };
  }

  void time_votes(Context& context, BackendModel& model, const std::string& noise,
                  const std::string& mode, std::vector<Row>& rows) const {
    CertifySettings settings;
    settings.sigma = sigma_;
    settings.clamp = !no_clamp_;
    settings.noise = from_name<NoiseLaw>(noise);
    settings.mode = from_name<Mode>(mode);
    settings = settled(settings);
    VoteSettings votes = vote_settings(settings, model.spec().input);
    const auto path = time_path(context, model, votes, noise, mode, rows);
    // Beside a fused kernel, the way of any network.
    votes.fused = false;
    if (model.describe_votes(votes) != path) time_path(context, model, votes, noise, mode, rows);
  }

  /// The path that these settings take, timed.
  std::string time_path(Context& context, BackendModel& model, const VoteSettings& votes,
                        const std::string& noise, const std::string& mode,
                        std::vector<Row>& rows) const {
    const auto path = model.describe_votes(votes);
    // Where the device has one way for both modes it is timed once.
    for (Row& row : rows)
      if (row.noise == noise && row.speed.path == path) {
        row.mode += "," + mode;
        return path;
      }
    rows.push_back({"certify", noise, mode,
                    measure_votes(model, votes, settings_,
                                  progress(context, fmt::format("{} noise, {}{}", noise, mode,
                                                                votes.fused ? "" : ", not fused")),
                                  context.stop)});
    return path;
  }

  /// What makes a median doubtful, in one line.
  void say_unsteady(Context& context, const Row& row) const {
    const Throughput& speed = row.speed;
    const bool fell = speed.drift() < -std::max(settings_.spread, 0.03);
    if (speed.spread() <= settings_.spread && !fell) return;
    context.console.warn(fmt::format(
        "{}: {} measurements of this are {} % apart between the quartiles{}", speed.path,
        speed.rates.size(), format_percent(speed.spread(), 1),
        fell ? fmt::format(", and the later half is {} % slower than the earlier one: clocks "
                           "dropped, or other work began",
                           format_percent(-speed.drift(), 1))
             : std::string()));
  }

  std::string table(const Network& network, const Backend& backend,
                    const std::vector<Row>& rows) const {
    std::string text = fmt::format("{} on {}\n\n", network.spec.name, backend.describe());
    text += fmt::format("{:<8} {:<9} {:<11} {:>14}  {:<19} {}\n", "", "noise", "mode", "a second",
                        "lowest to highest", "path");
    for (const Row& row : rows) {
      const auto whole = [](double rate) {
        return format_count(static_cast<std::uint64_t>(rate + 0.5));
      };
      text += fmt::format("{:<8} {:<9} {:<11} {:>14}  {:<19} {}\n", row.what, row.noise, row.mode,
                          whole(row.speed.median()),
                          whole(row.speed.lowest()) + " to " + whole(row.speed.highest()),
                          row.speed.path);
    }
    return text +
           fmt::format(
               "\ncertify: samples, attack: images. Medians of {} to {} measurements of {} s.\n",
               settings_.repeats, settings_.most, format_shortest(settings_.seconds));
  }

  std::string json_text(const Network& network, const Backend& backend,
                        const std::vector<Row>& rows) const {
    nlohmann::json list = nlohmann::json::array();
    for (const Row& row : rows) {
      nlohmann::json entry = {{"what", row.what},
                              {"unit", row.what == "certify" ? "samples/s" : "images/s"},
                              {"path", row.speed.path},
                              {"median", row.speed.median()},
                              {"lowest", row.speed.lowest()},
                              {"highest", row.speed.highest()},
                              {"spread", row.speed.spread()},
                              {"drift", row.speed.drift()},
                              {"rates", row.speed.rates}};
      if (row.what == "certify") {
        entry["noise"] = row.noise;
        entry["mode"] = row.mode;
      }
      list.push_back(std::move(entry));
    }
    return nlohmann::json{{"version", kVersion},          {"arithmetic", kArithmetic},
                          {"network", network.spec.name}, {"backend", backend.name()},
                          {"device", backend.describe()}, {"sigma", sigma_},
                          {"clamp", !no_clamp_},          {"seconds", settings_.seconds},
                          {"results", std::move(list)}}
               .dump(2) +
           "\n";
  }

  std::string model_ = "convnn";
  std::vector<std::string> noises_ = {"lattice", "gaussian"}, modes_ = {"exact", "fast"},
                           attacks_ = {"l2", "pgd-l2"};
  double sigma_ = 1.0;
  bool no_clamp_ = false;
  ThroughputSettings settings_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace smoothcert::cli
