// Models × σ × n × α × seeds × subsets into one results store, planned first, checked before hours
// are spent, and continued after any interruption.
#include "smoothcert/sweep.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <map>
#include <set>

#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/pilot.hpp"
#include "smoothcert/preflight.hpp"
#include "smoothcert/summary.hpp"
#include "smoothcert/sweep_plan.hpp"
#include "smoothcert/throughput.hpp"
#include "util/format_number.hpp"

namespace smoothcert {

namespace {

const char* severity_text(Finding::Severity severity) {
  switch (severity) {
    case Finding::Severity::note:
      return "note: ";
    case Finding::Severity::warning:
      return "warning: ";
    case Finding::Severity::error:
      return "error: ";
  }
  return "";
}

class Sweep {
 public:
  Sweep(const SweepSpec& spec, ResultsStore& store, Backend& backend, const Dataset& data,
        const ModelLoader& load, const SweepOptions& options, const SweepObserver& observer)
      : spec_(spec),
        store_(store),
        backend_(backend),
        data_(data),
        load_(load),
        options_(options),
        observer_(observer),
        plan_(plan_sweep(spec, data.size())),
        ours_(shard_indices(plan_.indices, options.shard)) {
    // What cannot be drawn is said before a plan is printed and models are timed.
    std::set<double> drawn;
    for (const SweepRun& run : plan_.runs)
      if (spec.noise == NoiseLaw::lattice && drawn.insert(run.settings.sigma).second)
        make_lattice_table(run.settings.sigma, data.shape.size());
    progress_.runs = plan_.runs.size();
    progress_.images_total = plan_.runs.size() * ours_.size();
  }

  void prepare() {
    say(fmt::format("sweep: {}, {} of {}{}, {}", counted(spec_.models.size(), "model"),
                    counted(plan_.runs.size(), "run"), counted(ours_.size(), "image"), shard_text(),
                    counted(progress_.images_total, "certificate")));
    Outlook outlook;
    outlook.forecast.models = spec_.models.size();
    outlook.forecast.runs = plan_.runs.size();
    outlook.forecast.images = ours_.size();
    for (std::size_t m = 0; m < spec_.models.size(); ++m) look_at_model(m, outlook);
    SweepForecast& forecast = outlook.forecast;
    forecast.samples = static_cast<std::uint64_t>(std::llround(outlook.samples));
    say(fmt::format("sweep: {} samples to draw{}, expected time {} on {}", forecast.samples,
                    forecast.samples == progress_.samples_total
                        ? ""
                        : fmt::format(" if images stop as those of a pilot would, {} at most",
                                      progress_.samples_total),
                    time_estimate_text(forecast.seconds), backend_.describe()));
    if (observer_.on_forecast) observer_.on_forecast(forecast);
    if (outlook.failed && !options_.force) {
      throw UsageError(
          "the sweep was not started because of the errors above; --force runs it all "
          "the same");
    }
  }

  void run(const std::stop_token& stop) {
    start_ = std::chrono::steady_clock::now();
    std::size_t loaded = spec_.models.size();
    Network network;
    std::unique_ptr<BackendModel> model;
    for (std::size_t r = 0; r < plan_.runs.size(); ++r) {
      if (stop.stop_requested()) throw Interrupted("interrupted; what was finished is stored");
      const SweepRun& run = plan_.runs[r];
      if (run.model != loaded) {
        model.reset();
        network = load_(spec_.models[run.model]);
        model = backend_.load(network);
        loaded = run.model;
      }
      progress_.run = r;
      run_one(run, network, *model, stop);
    }
  }

 private:
  void say(const std::string& line) const {
    if (observer_.say) observer_.say(line);
  }

  [[nodiscard]] std::string shard_text() const {
    return options_.shard.parts == 1
               ? ""
               : fmt::format(" (shard {}/{})", options_.shard.part, options_.shard.parts);
  }

  /// What prepare() gathers, model by model.
  struct Outlook {
    SweepForecast forecast{};
    double samples = 0;  ///< expected to be drawn
    bool failed = false;
    std::set<std::string> said{};
    std::map<std::string, std::string> names{};  ///< of the models, by their hashes
  };

  /// Says a finding once, however many runs it is of.
  void note(const Finding& finding, Outlook& outlook) const {
    const std::string line = severity_text(finding.severity) + finding.line;
    if (!outlook.said.insert(line).second) return;
    say(line);
    outlook.forecast.findings.push_back(finding);
    outlook.failed |= finding.severity == Finding::Severity::error;
  }

  void look_at_model(std::size_t index, Outlook& outlook) {
    const SweepModel& described = spec_.models[index];
    const Network network = load_(described);
    check_fits(described, network);
    if (const auto [first, is_new] = outlook.names.emplace(model_hash(network), described.name);
        !is_new) {
      note({Finding::Severity::warning,
            fmt::format("model '{}' is the same network as '{}': where their settings agree, they "
                        "share one run, under one name",
                        described.name, first->second)},
           outlook);
    }
    decide_clamping(index, network);
    const auto model = backend_.load(network);
    double speed = 0;          // of its votes, once measured
    std::set<double> checked;  // findings depend on σ, hardly on n
    for (const SweepRun& run : plan_.runs) {
      if (run.model != index) continue;
      if (!run.derived) forecast_run(network, *model, run, speed, outlook);
      if (!options_.preflight || !checked.insert(run.settings.sigma).second) continue;
      for (const Finding& finding :
           preflight(network, described.name, *model, data_, plan_.indices, run.settings)) {
        note(finding, outlook);
      }
    }
  }

  /// Samples and seconds that a run will take; `speed` is measured where it is still 0.
  void forecast_run(const Network& network, BackendModel& model, const SweepRun& run, double& speed,
                    Outlook& outlook) {
    const std::uint64_t samples = remaining_samples(network, model, run);
    progress_.samples_total += samples;
    if (samples == 0) return;
    if (speed == 0) {
      speed = measure_votes(model, vote_settings(run.settings, data_.shape),
                            {.repeats = 1, .seconds = options_.calibration_seconds})
                  .median();
    }
    const double most = static_cast<double>(run.settings.n0) + static_cast<double>(run.settings.n);
    const double share = expected_share(model, run.settings, most);
    outlook.samples += static_cast<double>(samples) * share;
    outlook.forecast.seconds += static_cast<double>(samples) * share / speed;
  }

  /// Only the model knows how it was trained, where the file does not say.
  void decide_clamping(std::size_t model, const Network& network) {
    if (spec_.clamp || noise_traits(spec_.noise).kind == CertificateKind::exact) return;
    for (SweepRun& run : plan_.runs)
      if (run.model == model) run.settings.clamp = network.clamp;
    if (!network.clamp_recorded)
      say(fmt::format(
          "model '{}': noisy pixels are not clamped, as its file does not say how it was trained; "
          "\"clamp\": true clamps them to [0,1], false says that this is right",
          spec_.models[model].name));
  }

  void check_fits(const SweepModel& model, const Network& network) const {
    const ImageShape &takes = network.spec.input, &is = data_.shape;
    if (takes == is && network.spec.classes == data_.classes) return;
    throw UsageError(
        fmt::format("model '{}' takes {}x{}x{} images of {} classes, {} has {}x{}x{} "
                    "of {}",
                    model.name, takes.channels, takes.height, takes.width, network.spec.classes,
                    data_.name, is.channels, is.height, is.width, data_.classes));
  }

  // Unlike certify_into_store this must not create the run: planning writes nothing.
  std::uint64_t remaining_samples(const Network& network, const BackendModel& model,
                                  const SweepRun& run) const {
    const std::string key = run_key(
        make_run_settings(network, spec_.models[run.model].name, model, data_, run.settings));
    std::uint64_t done = 0;
    for (const RunInfo& info : store_.runs()) {
      if (info.key != key) continue;
      const std::set<std::uint32_t> wanted(ours_.begin(), ours_.end());
      std::set<std::uint32_t> finished;
      for (const Certificate& c : store_.certificates(info.id)) {
        if (wanted.contains(c.image)) finished.insert(c.image);
      }
      done = finished.size() * (run.settings.n0 + run.settings.n);
      for (const ChunkCounts& c : store_.chunks(info.id)) {
        if (wanted.contains(c.image) && !finished.contains(c.image)) done += c.last - c.first;
      }
    }
    return ours_.size() * (run.settings.n0 + run.settings.n) - done;
  }

  /// Of the `most` samples that an image may take: 1 unless a stopping rule ends it earlier.
  double expected_share(BackendModel& model, const CertifySettings& settings, double most) const {
    if (settings.stopping.rule == StopRule::at_n_max) return 1;
    return expected_samples(pilot_votes(model, data_, ours_, settings), settings, data_.shape) /
           most;
  }

  void run_one(const SweepRun& run, const Network& network, BackendModel& model,
               const std::stop_token& stop) {
    const SweepModel& described = spec_.models[run.model];
    const CertificationRequest request{network,      described.name, data_,
                                       run.settings, ours_,          plan_.indices};
    const std::uint64_t images_before = progress_.images_done;
    const std::uint64_t samples_before = progress_.samples_done;
    CertifyCallbacks callbacks;
    callbacks.on_progress = [&](const CertifyProgress& p) {
      progress_.images_done = images_before + p.images_done;
      progress_.samples_done = samples_before + p.samples_done;
      report_progress();
    };
    const CertificationResult result = certify_into_store(store_, model, request, callbacks, stop);
    progress_.images_done = images_before + ours_.size();
    progress_.samples_done =
        std::max(progress_.samples_done,
                 samples_before + result.certified_images * (run.settings.n0 + run.settings.n) -
                     std::min(result.resumed_samples,
                              result.certified_images * (run.settings.n0 + run.settings.n)));
    report_progress();
    const Summary s = summarise(result.certificates);
    const std::string resumed = result.resumed_line();
    const NoiseTraits& traits = noise_traits(run.settings.noise);
    say(fmt::format(
        "{}/{} {} {} {}{} seed {}: ACR {}{}, {} correct & certified, {} wrong, {} abstained of "
        "{}{}",
        progress_.run + 1, progress_.runs, described.name, traits.scale, run.settings.sigma,
        traits.kind == CertificateKind::exact
            ? fmt::format(", all {} splits,", run.settings.n)
            : fmt::format(" n0 {} n {} alpha {}{}", run.settings.n0, run.settings.n,
                          run.settings.alpha,
                          run.settings.p_b == SecondBound::counted ? " p_B counted" : ""),
        run.settings.seed, format_down(s.acr, 4), traits.norm == Norm::l1 ? " in L1" : "",
        s.correct_certified, s.wrong, s.abstained, s.images,
        resumed.empty() ? "" : " (" + resumed + ")"));
  }

  void report_progress() {
    progress_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    if (observer_.on_progress) observer_.on_progress(progress_);
  }

  const SweepSpec& spec_;
  ResultsStore& store_;
  Backend& backend_;
  const Dataset& data_;
  const ModelLoader& load_;
  const SweepOptions& options_;
  const SweepObserver& observer_;
  SweepPlan plan_;
  std::vector<std::uint32_t> ours_;
  SweepProgress progress_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

std::string time_estimate_text(double seconds) {
  if (seconds < 1) return "under a second";
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<std::uint64_t>(std::llround(seconds / 60));
  if (minutes < 60) return fmt::format("{} min", minutes);
  if (minutes < 48 * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  return fmt::format("{} d {} h", minutes / 1440, minutes / 60 % 24);
}

void run_sweep(const SweepSpec& spec, ResultsStore& store, Backend& backend, const Dataset& data,
               const ModelLoader& load, const SweepOptions& options, const SweepObserver& observer,
               std::stop_token stop) {
  Sweep sweep(spec, store, backend, data, load, options, observer);
  sweep.prepare();
  if (!options.plan_only) sweep.run(stop);
}

}  // namespace smoothcert
