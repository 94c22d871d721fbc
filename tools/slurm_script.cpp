// A sweep as a job array of Slurm.
#include "slurm_script.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "console.hpp"
#include "smoothcert/error.hpp"
#include "util/format_number.hpp"
#include "util/model_name.hpp"

namespace smoothcert::cli {
namespace {

std::uint64_t tasks_for(const SlurmJob& job, const SweepForecast& forecast) {
  constexpr double kTask = 3600;
  constexpr std::uint64_t kMost = 1000;  // MaxArraySize is 1,001 unless somebody changed it
  if (job.tasks > std::max<std::uint64_t>(1, forecast.images))
    throw UsageError(fmt::format("--tasks: {} for {}; a task has one at least",
                                 counted(job.tasks, "task"), counted(forecast.images, "image")));
  if (job.tasks > 0) return job.tasks;
  const auto wanted =
      static_cast<std::uint64_t>(std::ceil(std::min(forecast.seconds, 1e9) / kTask));
  return std::clamp<std::uint64_t>(wanted, 1, std::clamp<std::uint64_t>(forecast.images, 1, kMost));
}

/// Twice what is expected and ten minutes to start; tasks that need longer are queued again.
std::string time_limit(const SweepForecast& forecast, std::uint64_t tasks) {
  const double seconds = 2 * std::min(forecast.seconds, 1e9) / static_cast<double>(tasks) + 600;
  const auto minutes = std::min<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(seconds / 60)),
                                               std::uint64_t{24} * 60);
  return fmt::format("{:02}:{:02}:00", minutes / 60, minutes % 60);
}

}  // namespace

std::string slurm_script(const SlurmJob& job, const SweepForecast& forecast) {
  const std::uint64_t tasks = tasks_for(job, forecast);
  const std::string ending = job.store.extension().string();
  auto stem = job.store;
  stem.replace_extension();
  const std::string shard_store = shell_quoted(stem.string()) +
                                  fmt::format(".\"$part\"-of-{}", tasks) +
                                  (ending.empty() ? "" : shell_quoted(ending));
  std::string options;
  for (const auto& option : job.options) options += " " + shell_quoted(option);
  const std::string name = safe_file_name(stem.filename().string());  // sbatch splits at spaces
  return fmt::format(
      "#!/bin/bash\n"
      "# {models} models, {runs} runs of {images} images; {seconds} s of work expected.\n"
      "# sbatch THIS_FILE, and when all tasks have ended:\n"
      "#   {program} status {stem}.*-of-{tasks}{ending}\n"
      "#   {program} merge {stem}.*-of-{tasks}{ending} --out {store}\n"
      "#SBATCH --job-name={name}\n"
      "#SBATCH --array=1-{tasks}\n"
      "#SBATCH --ntasks=1\n"
      "#SBATCH --cpus-per-task={cpus}\n"
      "{gpu}"
      "#SBATCH --time={time}\n"
      "#SBATCH --signal=B:USR1@60\n"
      "#SBATCH --requeue\n"
      "#SBATCH --open-mode=append\n"
      "#SBATCH --output={name}.%a-of-{tasks}.log\n"
      "part=${{SLURM_ARRAY_TASK_ID:?start this with sbatch}}\n"
      "{program} sweep {file} --shard \"$part/{tasks}\" --store {shard_store}{options} &\n"
      "job=$!\n"
      "# A minute before the time is up: what was counted is kept.\n"
      "trap 'kill -USR1 \"$job\"' USR1 TERM\n"
      "wait \"$job\"\n"
      "code=$?\n"
      "while kill -0 \"$job\" 2>/dev/null; do\n"
      "  wait \"$job\"\n"
      "  code=$?\n"
      "done\n"
      "if [ \"$code\" -eq 130 ] && command -v scontrol >/dev/null; then\n"
      "  scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_$part\" && exit 0\n"
      "fi\n"
      "exit \"$code\"\n",
      fmt::arg("models", forecast.models), fmt::arg("runs", forecast.runs),
      fmt::arg("images", forecast.images), fmt::arg("seconds", std::ceil(forecast.seconds)),
      fmt::arg("program", shell_quoted(job.program)), fmt::arg("stem", shell_quoted(stem.string())),
      fmt::arg("tasks", tasks), fmt::arg("ending", ending),
      fmt::arg("store", shell_quoted(job.store.string())), fmt::arg("name", name),
      fmt::arg("cpus", job.gpu ? 4 : 16), fmt::arg("gpu", job.gpu ? "#SBATCH --gres=gpu:1\n" : ""),
      fmt::arg("time", job.time.empty() ? time_limit(forecast, tasks) : job.time),
      fmt::arg("file", shell_quoted(job.file)), fmt::arg("shard_store", shard_store),
      fmt::arg("options", options));
}

}  // namespace smoothcert::cli
