// smoothcert compare: train three ways, attack, certify, report.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "certify_options.hpp"
#include "commands.hpp"
#include "data_options.hpp"
#include "options.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/compare.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/report.hpp"

namespace smoothcert::cli {
namespace {

class CompareCommand : public Command {
 public:
  void define(CLI::App& app) override {
    const std::string group = "Comparison";
    app.add_option("-o,--out", folder_, "Folder of the report, models and results")
        ->type_name("DIR")
        ->capture_default_str()
        ->group(group);
    app.add_option("--recipes", options_.recipes, "Training recipes to compare")
        ->type_name("NAMES")
        ->delimiter(',')
        ->default_str("normal,adversarial,smoothing")
        ->group(group);
    app.add_option("--network", options_.network, "Network: convnn, lenet, mlp …")
        ->type_name("NAME")
        ->capture_default_str()
        ->group(group);
    add_seed_option(app, options_.seed, "Seed of training and of the noise");
    app.add_option("--images", images_,
                   "Evenly spaced test images to certify: a number, all, or auto (as many as "
                   "--time-budget allows)")
        ->type_name("N|all|auto")
        ->capture_default_str()
        ->group(group);
    add_positive_option(app, "--time-budget", budget_,
                        "Seconds for certification with --images auto")
        ->default_str("300")
        ->group(group);
    add_count_option(app, "--attack-images", options_.attack_images,
                     "Test images to attack; 0 takes all")
        ->group(group);
    add_count_option(app, "--train-images", options_.train_images,
                     "Train on the first N images only; 0 takes all")
        ->group(group);
    add_certify_options(app, certify_, true, false);
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    auto& console = context.console;
    options_.folder = folder_;
    options_.certify = certify_settings(certify_);
    if (noise_traits(options_.certify.noise).norm != Norm::l2)
      throw UsageError(fmt::format(
          "--noise: the comparison is about L2 radii; {} certifies L1, with 'smoothcert certify'",
          noise_traits(options_.certify.noise).words));
    options_.certify.seed = options_.seed;
    options_.command = context.command_line;
    choose_images();
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    console.say(note);
    const auto data =
        load_data(context, data_, Splits::both, true, network_by_name(options_.network).classes);
    options_.stand_in_data = data.stand_in || data.test.name == "digits";
    if (options_.stand_in_data)
      console.warn("note: the images are drawn by this program; these will not be MNIST's figures");

    CompareObserver observer;
    observer.say = [&](std::string_view line) { console.end_progress(line); };
    observer.progress = [&](std::string_view activity, double fraction, std::string_view detail) {
      console.progress(activity, fraction, detail);
    };
    try {
      const auto study = compare(*backend, data.train, data.test, options_, observer, context.stop);
      console.end_progress();
      const auto files = write_report(study, options_.folder);
      if (!files.note.empty()) console.say(files.note);
      console.result(output_.json ? study_summary_json(study) + "\n" : study_table(study));
      if (output_.json)
        console.say("report: " + files.html.string());
      else
        console.result("\nreport: " + files.html.string() + "\n");
    } catch (const Interrupted&) {
      throw Interrupted(fmt::format("stopped; what was finished is kept in {}. To go on: {}",
                                    folder_, context.command_line));
    }
  }

 private:
  void choose_images() {
    options_.images = 0;
    options_.time_budget = 0;
    if (images_ == "auto") {
      options_.time_budget = budget_.value_or(300);
    } else if (budget_) {
      throw UsageError("--time-budget goes with --images auto");
    } else if (images_ != "all") {
      options_.images = parse_count(images_, "--images");
      if (options_.images == 0) throw UsageError("--images: 0 images leave nothing to certify");
    }
  }

  std::string folder_ = "smoothcert-report", images_ = "auto";
  std::optional<double> budget_;
  CompareOptions options_;
  CertifyOptions certify_;
  DataOptions data_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_compare_command() { return std::make_unique<CompareCommand>(); }

}  // namespace smoothcert::cli
