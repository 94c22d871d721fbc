// smoothcert sweep: models × σ × n × α × seeds from one file into one store.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.hpp"
#include "data_options.hpp"
#include "mpi/ranks.hpp"
#include "options.hpp"
#include "progress_file.hpp"
#include "run_list.hpp"
#include "slurm_script.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/sweep.hpp"

namespace smoothcert::cli {
namespace {

/// What a plan reads: the store, or an empty one elsewhere where there is none yet. A plan leaves
/// nothing behind, and needs no right to write.
class StoreOfAPlan {
 public:
  explicit StoreOfAPlan(const std::filesystem::path& file) : file_(file) {
    if (std::filesystem::exists(file)) return;
    std::string folder = (std::filesystem::temp_directory_path() / "smoothcert-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr)
      throw Error(fmt::format("cannot make a folder in {}; choose another place with $TMPDIR",
                              std::filesystem::path(folder).parent_path().string()));
    scratch_ = folder;
  }
  ~StoreOfAPlan() {
    std::error_code ignored;
    if (!scratch_.empty()) std::filesystem::remove_all(scratch_, ignored);
  }
  StoreOfAPlan(const StoreOfAPlan&) = delete;
  StoreOfAPlan& operator=(const StoreOfAPlan&) = delete;

  [[nodiscard]] std::unique_ptr<ResultsStore> open() const {
    return scratch_.empty()
               ? ResultsStore::open(file_, ResultsStore::Access::read_only)
               : ResultsStore::open(scratch_ / "plan.sqlite", ResultsStore::Access::read_write);
  }

 private:
  std::filesystem::path file_, scratch_;
};

class SweepCommand : public Command {
 public:
  void define(CLI::App& app) override {
    const std::string group = "Sweep";
    app.add_option("FILE", file_, "What to certify (docs/sweep.md)");
    app.add_option("--store", store_, "Results store, instead of the file's")
        ->type_name("FILE")
        ->group(group);
    app.add_flag("--plan", options_.plan_only,
                 "Say the plan, the expected time and what the checks find; certify nothing")
        ->group(group);
    app.add_flag("--slurm", slurm_, "With --plan: print a job array for sbatch, a shard a task")
        ->group(group);
    add_positive_count_option(app, "--tasks", tasks_,
                              "With --slurm: tasks of the array; without it an hour's work each",
                              100'000)
        ->group(group);
    app.add_option("--shard", shard_,
                   "Part i of N of the images, into a store of its own; 'merge' joins them")
        ->type_name("i/N")
        ->group(group);
    app.add_flag("--force", options_.force, "Go on where a check finds an error")->group(group);
    app.add_flag("--no-checks", no_checks_, "Without the checks of the models")->group(group);
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    auto& console = context.console;
    if (file_.empty())
      throw UsageError(
          "sweep: which one? Give its file, as in 'smoothcert sweep sweep.json' (docs/sweep.md)");
    const auto ranks = Ranks::join();
    if (ranks && !ranks->leads()) {
      console.set_quiet(true);  // rank 0 tells all there is to tell
      const auto own = make_backend(device_.device, device_.threads, nullptr);
      ranks->serve(*own);
      return;
    }
    check_options();
    const SweepSpec spec = load_sweep(file_);
    options_.preflight = !no_checks_;
    if (!shard_.empty()) options_.shard = parse_shard(shard_);
    const auto file = store_of(spec);
    int classes = 0;
    const std::string data = data_.data.empty() ? spec.data : data_.data;
    for (const auto& model : spec.models) {  // before anything else
      std::vector<std::string> notes;
      classes = load_model(model.file, model.network, &notes, data).spec.classes;
      for (const auto& line : notes) console.say(line);
    }
    std::optional<StoreOfAPlan> plan;
    if (options_.plan_only)
      plan.emplace(file);
    else
      require_writable(file);
    given_data_ = data_.data;
    if (data_.data.empty()) data_.data = spec.data;
    const bool train = spec.split == "train";
    const auto pair =
        load_data(context, data_, train ? Splits::train : Splits::test, false, classes);
    std::string note;
    auto backend = make_backend(device_.device, device_.threads, &note);
    console.say(note);
    if (ranks) backend = ranks->spread(std::move(backend));
    const auto store =
        plan ? plan->open() : ResultsStore::open(file, ResultsStore::Access::read_write);
    if (!store->note().empty()) console.say(store->note());
    auto watcher = observer(console);
    if (options_.plan_only) show_plan(context, file, *backend, watcher);
    std::optional<ProgressFile> progress;
    if (!options_.plan_only) keep_progress(progress.emplace(file, "sweep"), watcher);
    try {
      run_sweep(
          spec, *store, *backend, train ? pair.train : pair.test,
          [&](const SweepModel& model) {
            return load_model(model.file, model.network, nullptr, data);
          },
          options_, watcher, context.stop);
    } catch (const Interrupted&) {
      throw Interrupted(fmt::format("stopped; what was finished is kept in {}. To go on: {}",
                                    file.string(), context.command_line));
    }
    console.end_progress();
    if (options_.plan_only) return;
    print(console, file, *store);
  }

 private:
  void check_options() const {
    if (slurm_ && (!options_.plan_only || !shard_.empty() || output_.json))
      throw UsageError("sweep: --slurm goes with --plan, and with neither --shard nor --json");
    if (tasks_ && !slurm_) throw UsageError("sweep: --tasks goes with --slurm");
  }

  /// What --plan prints beside its lines, once the forecast is known.
  void show_plan(Context& context, const std::filesystem::path& file, const Backend& backend,
                 SweepObserver& watcher) const {
    Console& console = context.console;
    if (output_.json)
      watcher.on_forecast = [&console, &backend, file](const SweepForecast& f) {
        console.result(forecast_json(f, file, backend.describe()).dump(2) + "\n");
      };
    if (slurm_)
      watcher.on_forecast = [this, &context, &console, &backend, file](const SweepForecast& f) {
        console.result(slurm_script(slurm_job(context, file, backend), f));
      };
  }

  /// For 'smoothcert status', beside what is shown here.
  static void keep_progress(ProgressFile& progress, SweepObserver& watcher) {
    watcher.on_progress = [&progress, shown = watcher.on_progress](const SweepProgress& p) {
      shown(p);
      ProgressState state = progress_state(p);
      state.run = p.run + 1;
      state.runs = p.runs;
      progress.update(state);
    };
  }

  void print(Console& console, const std::filesystem::path& file, const ResultsStore& store) const {
    console.result(
        output_.json
            ? nlohmann::json{{"store", file.string()}, {"runs", run_array(store)}}.dump(2) + "\n"
            : run_table(store));
    console.say(fmt::format("kept in {}; 'smoothcert report {}' plots it", file.string(),
                            shell_quoted(file.string())));
  }

  /// The same command again, for a shard.
  [[nodiscard]] SlurmJob slurm_job(const Context& context, const std::filesystem::path& store,
                                   const Backend& backend) const {
    SlurmJob job;
    job.program = context.program;
    job.file = file_;
    job.store = store;
    job.gpu = !backend.describe().starts_with("cpu");
    job.tasks = static_cast<std::uint64_t>(tasks_.value_or(0));
    const auto pass = [&](const std::string& option, const std::string& value) {
      if (value.empty()) return;
      job.options.push_back(option);
      job.options.push_back(value);
    };
    pass("--data", given_data_);
    pass("--mirror", data_.mirror);
    pass("--digits-size", data_.digits_size);
    if (device_.device != "auto") pass("--device", device_.device);
    if (device_.threads > 0) pass("--threads", std::to_string(device_.threads));
    if (data_.no_download) job.options.emplace_back("--no-download");
    if (data_.round) job.options.emplace_back("--round");
    if (options_.force) job.options.emplace_back("--force");
    // Checked here: a thousand tasks need not do it again.
    job.options.emplace_back("--no-checks");
    return job;
  }

  static nlohmann::json forecast_json(const SweepForecast& f, const std::filesystem::path& store,
                                      const std::string& device) {
    nlohmann::json findings = nlohmann::json::array();
    for (const Finding& finding : f.findings)
      findings.push_back({{"severity", finding.severity == Finding::Severity::error     ? "error"
                                       : finding.severity == Finding::Severity::warning ? "warning"
                                                                                        : "note"},
                          {"line", finding.line}});
    return {{"store", store.string()},
            {"models", f.models},
            {"runs", f.runs},
            {"images", f.images},
            {"certificates", f.runs * f.images},
            {"samples", f.samples},
            {"expected_seconds", f.seconds},
            {"device", device},
            {"findings", std::move(findings)}};
  }

  /// Shards do not share a file: they run on different machines.
  std::filesystem::path store_of(const SweepSpec& spec) const {
    if (!store_.empty()) return store_;
    if (options_.shard.parts == 1) return spec.store;
    auto file = spec.store;
    const auto ending = file.extension();
    file.replace_extension(
        fmt::format(".{}-of-{}{}", options_.shard.part, options_.shard.parts, ending.string()));
    return file;
  }

  static SweepObserver observer(Console& console) {
    SweepObserver observer;
    observer.say = [&console](std::string_view line) { console.say(line); };
    observer.on_progress = [&console](const SweepProgress& p) {
      const double rate = p.seconds > 0 ? static_cast<double>(p.samples_done) / p.seconds : 0;
      // Samples tell how much work is left; a sweep that draws none has its images.
      const double share =
          p.samples_total > 0
              ? static_cast<double>(p.samples_done) / static_cast<double>(p.samples_total)
              : static_cast<double>(p.images_done) /
                    static_cast<double>(std::max<std::uint64_t>(1, p.images_total));
      console.progress("sweep", share,
                       fmt::format("run {}/{}, {}/{} images, {}samples/s", p.run + 1, p.runs,
                                   p.images_done, p.images_total, rate_text(rate)));
    };
    return observer;
  }

  std::string file_, store_, shard_, given_data_;
  bool no_checks_ = false, slurm_ = false;
  std::optional<int> tasks_;
  SweepOptions options_;
  DataOptions data_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_sweep_command() { return std::make_unique<SweepCommand>(); }

}  // namespace smoothcert::cli
