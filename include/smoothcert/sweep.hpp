// Models × σ × n × α × seeds × subsets into one results store, planned first, checked before hours
// are spent, and continued after any interruption.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/campaign.hpp"

namespace smoothcert {

struct SweepModel {
  std::filesystem::path file;
  std::string name;            ///< when not given the file's, with folders where that is no name
  std::string network;         ///< built-in name or description file, for checkpoints of others
  std::vector<double> sigmas;  ///< instead of the sweep's; empty: the sweep's
};

/// As the field's scripts take them: every `skip`-th image from `start`, at most `max` (0: all).
struct SubsetSpec {
  std::uint64_t start = 0, skip = 1, max = 0;
  std::uint64_t sample = 0, sample_seed = 0;  ///< so many of these at random; 0: all of them
};

/// A sweep.json (docs/sweep.md), every list with at least one entry.
struct SweepSpec {
  std::filesystem::path store;
  std::string data = "mnist", split = "test";
  std::vector<SweepModel> models;
  std::vector<double> sigmas;
  std::vector<std::uint64_t> n0 = {100}, n = {100000};
  std::vector<double> alphas = {0.001};
  std::vector<SecondBound> p_bs = {SecondBound::complement};
  std::vector<std::uint64_t> seeds = {0};
  std::vector<SubsetSpec> subsets = {{}};
  NoiseLaw noise = NoiseLaw::lattice;
  std::optional<bool> clamp;  ///< of all models; empty: each as its record says
  Mode mode = Mode::exact;
  /// Set: every run is sequential with this rule, and n the most samples an image gets.
  std::optional<Stopping> stopping;
};

/// Relative paths are taken from `folder`. Throws UsageError naming `where` and the member: unknown
/// (suggesting the nearest), missing, of the wrong type, out of range.
SweepSpec parse_sweep(const std::string& json, const std::filesystem::path& folder,
                      const std::string& where);
SweepSpec load_sweep(const std::filesystem::path& file);

/// One run of the plan. Runs that differ in α or p̄_B only follow each other: the first is drawn,
/// the others are derived from its counts.
struct SweepRun {
  std::size_t model = 0;     ///< index into SweepSpec::models
  CertifySettings settings;  ///< where the spec leaves clamping open, the models decide later
  bool derived = false;
};

struct SweepPlan {
  std::vector<SweepRun> runs;
  std::vector<std::uint32_t> indices;  ///< the union of the subsets, before sharding
  std::uint64_t images = 0;            ///< certificates of all runs
  std::uint64_t samples = 0;           ///< to be drawn for all runs, nothing resumed
};

/// Throws UsageError: a subset without images, settings that validate() refuses.
SweepPlan plan_sweep(const SweepSpec& spec, std::size_t dataset_size);

/// Samples per second of counting votes, measured over about `seconds` on the data's first image.
double measure_throughput(BackendModel& model, const Dataset& data, const CertifySettings& settings,
                          double seconds);

/// One line about a run that is about to cost time. An error stops the sweep before it starts.
struct Finding {
  enum class Severity { note, warning, error } severity = Severity::note;
  std::string line;
};

/// What can be said of a model before a single certificate: at chance on clean images (of all the
/// data), normalisation that seems to be missing, σ against the training σ, clamping against
/// training, the ceiling radius and the share of a few of the `indices` whose votes are unanimous.
/// Costs a few hundred forward passes.
std::vector<Finding> preflight(const Network& network, const std::string& name, BackendModel& model,
                               const Dataset& data, std::span<const std::uint32_t> indices,
                               const CertifySettings& settings);

struct SweepProgress {
  std::size_t run = 0, runs = 0;                      ///< the current one, from 0
  std::uint64_t images_done = 0, images_total = 0;    ///< of the whole sweep
  std::uint64_t samples_done = 0, samples_total = 0;  ///< drawn by this call, and to be drawn by it
  double seconds = 0;
};

/// What is known before anything is drawn.
struct SweepForecast {
  std::size_t models = 0, runs = 0;
  std::uint64_t images = 0;   ///< of each run, of this shard
  std::uint64_t samples = 0;  ///< that are left to draw
  double seconds = 0;         ///< that this is expected to take
  std::vector<Finding> findings;
};

struct SweepObserver {
  std::function<void(std::string_view line)> say;  ///< plan, findings, one line a finished run
  std::function<void(const SweepProgress&)> on_progress;
  std::function<void(const SweepForecast&)> on_forecast;  ///< before an error ends the sweep
};

struct SweepOptions {
  Shard shard;
  bool preflight = true;
  bool force = false;                ///< go on in spite of preflight errors
  bool plan_only = false;            ///< say the plan and the findings, draw nothing more
  double calibration_seconds = 0.5;  ///< a model, for the expected time
};

/// Loads a model's file: load_network(), or whatever else the caller can read.
using ModelLoader = std::function<Network(const SweepModel&)>;

/// Runs the sweep into `store`, skipping what it holds. Throws UsageError where a preflight error
/// stands in the way, Interrupted after a stop.
void run_sweep(const SweepSpec& spec, ResultsStore& store, Backend& backend, const Dataset& data,
               const ModelLoader& load, const SweepOptions& options, const SweepObserver& observer,
               std::stop_token stop = {});

/// "3 h 12 min", "45 s".
std::string time_estimate_text(double seconds);

}  // namespace smoothcert
