// A sweep as a job array of Slurm.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "smoothcert/sweep.hpp"

namespace smoothcert::cli {

struct SlurmJob {
  std::string program, file;         ///< as typed: smoothcert, sweep.json
  std::vector<std::string> options;  ///< to pass on
  std::filesystem::path store;       ///< of the whole; each task's has its part in its name
  bool gpu = false;                  ///< one a task
  std::uint64_t tasks = 0;           ///< 0: as many as an hour each takes
  std::string time;                  ///< limit of a task, "" = from what is expected
};

/// A script for sbatch: each task certifies its shard, ends in order when its time is up and is
/// queued again, so that it goes on where it was. Merging is a command in its comments.
std::string slurm_script(const SlurmJob& job, const SweepForecast& forecast);

}  // namespace smoothcert::cli
