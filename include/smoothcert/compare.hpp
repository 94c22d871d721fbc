// The comparison, end to end: train, attack, certify the same images, keep everything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert {

struct CompareOptions {
  std::filesystem::path folder = "smoothcert-report";
  std::string network = "convnn";
  std::vector<std::string> recipes = {"normal", "adversarial", "smoothing"};
  std::uint64_t seed = 0;           ///< of training; certification has its own in `certify`
  std::uint64_t train_images = 0;   ///< the first so many; 0 = all
  std::uint64_t attack_images = 0;  ///< evenly spaced test images under attack; 0 = all
  CertifySettings certify;
  /// Evenly spaced test images to certify; 0 = as many as `time_budget` allows.
  std::uint64_t images = 0;
  double time_budget = 0;      ///< seconds for certification; 0 = no limit
  bool stand_in_data = false;  ///< the data was drawn by the program
  std::string command;         ///< that makes the study again, for the report
};

/// What the caller is told while it runs; any may be empty. Calls come from the calling thread or
/// serialised from a worker.
struct CompareObserver {
  std::function<void(std::string_view line)> say;
  std::function<void(std::string_view activity, double fraction, std::string_view detail)> progress;
};

/// Trains a model a recipe, attacks it, certifies the same test images with each and keeps all of
/// it in `options.folder`: models/NAME.safetensors, results.sqlite, NAME.tsv, summary.json. (The
/// report is write_report().) A folder that holds part of the same comparison is continued: models
/// and certificates that are there are used. Throws UsageError where the folder holds a comparison
/// with other settings, Error where it cannot be written, Interrupted after a stop.
StudyResult compare(Backend& backend, const Dataset& train, const Dataset& test,
                    const CompareOptions& options, const CompareObserver& observer,
                    std::stop_token stop = {});

}  // namespace smoothcert
