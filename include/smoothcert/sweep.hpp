// Models × σ × n × α × seeds × subsets into one results store, planned first, checked before hours
// are spent, and continued after any interruption.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/preflight.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/subsets.hpp"
#include "smoothcert/sweep_file.hpp"

namespace smoothcert {

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
  std::uint64_t samples = 0;  ///< that are left to draw, stopping rules considered
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
