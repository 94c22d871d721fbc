// How fast a model is certified and attacked on a backend: what `smoothcert bench` prints.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <stop_token>
#include <string>
#include <vector>

#include "smoothcert/attack.hpp"
#include "smoothcert/backend.hpp"

namespace smoothcert {

struct ThroughputSettings {
  int repeats = 5;       ///< timed measurements at least, ≥ 1, after an untimed warm-up
  double seconds = 1.0;  ///< of each, about; > 0
  /// Measurements go on until their spread() is at most this, > 0; infinity: `repeats` of them.
  double spread = std::numeric_limits<double>::infinity();
  int most = 25;  ///< measurements at most, whatever their spread
};

/// One quantity, measured several times.
struct Throughput {
  std::string path;           ///< BackendModel::describe_votes() for votes, the attack's name else
  std::vector<double> rates;  ///< per second, in the order they were measured
  [[nodiscard]] double median() const;
  [[nodiscard]] double lowest() const;
  [[nodiscard]] double highest() const;
  /// Between the quartiles, as a share of the median: how far it is from being repeatable.
  [[nodiscard]] double spread() const;
  /// Median of the later half as a share of that of the earlier one, minus 1: below 0 where clocks
  /// dropped, or other work began, while this was measured. 0 for fewer than four measurements.
  [[nodiscard]] double drift() const;
};

/// Called before each measurement with the number of those done.
using ThroughputProgress = std::function<void(int done)>;

/// Monte-Carlo samples a second, noise and votes included, over 16 made-up images: the time of a
/// sample does not depend on what is on it. Throws UsageError for settings out of range,
/// Interrupted when `stop` is requested.
Throughput measure_votes(BackendModel& model, const VoteSettings& votes,
                         const ThroughputSettings& settings,
                         const ThroughputProgress& progress = {}, std::stop_token stop = {});

/// Attacked images a second, in batches of 1,000 of them, all steps of the attack included.
Throughput measure_attack(BackendModel& model, const AttackSpec& attack,
                          const ThroughputSettings& settings, const ThroughputProgress& progress,
                          std::stop_token stop = {});

}  // namespace smoothcert
