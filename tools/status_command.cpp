// smoothcert status: how far runs are, asked from another shell.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "commands.hpp"
#include "options.hpp"
#include "progress_file.hpp"
#include "run_list.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/sweep.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

/// One store, from what it holds and what the process that writes it says.
struct Line {
  std::filesystem::path store;
  std::size_t runs = 0, runs_planned = 0;
  std::uint64_t images = 0, images_planned = 0;
  double rate = 0;           ///< samples a second
  double seconds_left = -1;  ///< < 0: not known
  std::string state;         ///< "running", "ended", "silent for 5 min", "no progress told"
};

/// "2/4" of "sweep.2-of-4.sqlite".
std::optional<Shard> shard_of(const std::filesystem::path& store) {
  const std::string name = store.filename().string();
  const auto of = name.find("-of-");
  if (of == std::string::npos) return std::nullopt;
  const auto dot = name.rfind('.', of);
  if (dot == std::string::npos) return std::nullopt;
  Shard shard;
  const char* const end = name.data() + name.size();
  const auto part = std::from_chars(name.data() + dot + 1, end, shard.part);
  const auto parts = std::from_chars(name.data() + of + 4, end, shard.parts);
  if (part.ec != std::errc() || part.ptr != name.data() + of || parts.ec != std::errc() ||
      shard.part < 1 || shard.part > shard.parts)
    return std::nullopt;
  return shard;
}

Line look_at(const std::filesystem::path& file) {
  Line line;
  line.store = file;
  const auto store = ResultsStore::open(file, ResultsStore::Access::read_only);
  const auto shard = shard_of(file);
  double seconds = 0, samples = 0;
  for (const RunInfo& run : store->runs()) {
    ++line.runs;
    const auto certificates = store->certificates(run.id);
    line.images += certificates.size();
    for (const Certificate& c : certificates)
      if (c.seconds > 0) {
        seconds += c.seconds;
        samples += static_cast<double>(run.settings.certify.n0 + run.settings.certify.n);
      }
    auto expected = expected_indices(*store, run.key);
    if (shard) expected = shard_indices(expected, *shard);
    line.images_planned += std::max(expected.size(), certificates.size());
  }
  line.runs_planned = line.runs;
  if (seconds > 0) line.rate = samples / seconds;
  const auto progress = read_progress(file);
  if (!progress) {
    line.state = line.images_planned == 0             ? "no images yet"
                 : line.images >= line.images_planned ? "done"
                                                      : "not running";
    return line;
  }
  line.runs_planned = std::max<std::size_t>(line.runs, progress->runs);
  line.images_planned = std::max(line.images, progress->images_total);
  if (progress->seconds > 0 && progress->samples_done > 0)
    line.rate = static_cast<double>(progress->samples_done) / progress->seconds;
  if (line.rate > 0)
    line.seconds_left =
        static_cast<double>(progress->samples_total -
                            std::min(progress->samples_done, progress->samples_total)) /
        line.rate;
  constexpr double kSilent = 30;
  const double since =
      std::difftime(std::time(nullptr), static_cast<std::time_t>(progress->written));
  if (!may_be_running(*progress)) {
    line.state = fmt::format("killed {} ago", time_estimate_text(since));
    line.seconds_left = -1;
  } else if (since > kSilent) {
    line.state = fmt::format("silent for {}, process {} on {}", time_estimate_text(since),
                             progress->pid, progress->host);
  } else {
    line.state = fmt::format("running, process {} on {}", progress->pid, progress->host);
  }
  return line;
}

class StatusCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("STORES", stores_, "Results stores, of every shard for instance, or folders")
        ->expected(-1);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (stores_.empty())
      throw UsageError("status: of which store? As in 'smoothcert status sweep.sqlite'");
    std::vector<Line> lines;
    for (const auto& store : stores_) lines.push_back(look_at(store_file(store)));
    Line all;
    for (const Line& line : lines) {
      all.images += line.images;
      all.images_planned += line.images_planned;
      if (line.state.starts_with("running")) all.rate += line.rate;
      all.seconds_left = std::max(all.seconds_left, line.seconds_left);
    }
    context.console.result(output_.json ? json_text(lines) : table(lines, all));
  }

 private:
  static std::string row(const std::string& store, const std::string& runs, const Line& line) {
    const double share = line.images_planned == 0 ? 0
                                                  : static_cast<double>(line.images) /
                                                        static_cast<double>(line.images_planned);
    return fmt::format("{:<30}{:>9}{:>17}{:>7}{:>13}{:>13}  {}\n", store, runs,
                       fmt::format("{}/{}", line.images, line.images_planned),
                       fmt::format("{:.0f} %", std::floor(100 * share)), rate_text(line.rate),
                       line.seconds_left < 0 ? "" : time_estimate_text(line.seconds_left),
                       line.state);
  }

  static std::string table(const std::vector<Line>& lines, const Line& all) {
    std::string text = fmt::format("{:<30}{:>9}{:>17}{:>7}{:>13}{:>13}  {}\n", "store", "runs",
                                   "images", "", "samples/s", "left", "state");
    for (const Line& line : lines)
      text += row(line.store.filename().string(),
                  fmt::format("{}/{}", line.runs, line.runs_planned), line);
    if (lines.size() > 1) text += row("together", "", all);
    return text;
  }

  static std::string json_text(const std::vector<Line>& lines) {
    nlohmann::json stores = nlohmann::json::array();
    for (const Line& line : lines) {
      nlohmann::json one = {{"store", line.store.string()},
                            {"runs", line.runs},
                            {"runs_planned", line.runs_planned},
                            {"images", line.images},
                            {"images_planned", line.images_planned},
                            {"samples_per_second", line.rate},
                            {"state", line.state}};
      one["seconds_left"] =
          line.seconds_left < 0 ? nlohmann::json() : nlohmann::json(line.seconds_left);
      stores.push_back(std::move(one));
    }
    return nlohmann::json{{"stores", std::move(stores)}}.dump(2) + "\n";
  }

  std::vector<std::string> stores_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_status_command() { return std::make_unique<StatusCommand>(); }

}  // namespace smoothcert::cli
