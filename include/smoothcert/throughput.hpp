// How fast a model is certified and attacked on a backend: what `smoothcert bench` prints.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "smoothcert/attack.hpp"
#include "smoothcert/backend.hpp"

namespace smoothcert {

struct ThroughputSettings {
  int repeats = 5;       ///< timed measurements, ≥ 1, after an untimed warm-up
  double seconds = 1.0;  ///< of each, about; > 0
};

/// One quantity, measured several times.
struct Throughput {
  std::string path;           ///< BackendModel::describe_votes() for votes, the attack's name else
  std::vector<double> rates;  ///< per second, in the order they were measured
  [[nodiscard]] double median() const;
  [[nodiscard]] double lowest() const;
  [[nodiscard]] double highest() const;
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
