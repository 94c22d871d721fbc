#include "run_list.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "smoothcert/study.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {

std::string run_table(const ResultsStore& store) {
  std::string text = fmt::format(
      "{:>4}  {:<20}{:<20}{:>7}{:>7}{:>10}{:>8}  {:<10}{:>6}{:>8}{:>10}{:>7}{:>10}{:>9}\n", "run",
      "model", "data", "σ", "n0", "n", "α", "p_B", "seed", "images", "certified", "wrong",
      "abstained", "acr");
  for (const RunInfo& run : store.runs()) {
    const RunSettings& s = run.settings;
    const Summary summary = summarise(store.certificates(run.id));
    text += fmt::format(
        "{:>4}  {:<20}{:<20}{:>7}{:>7}{:>10}{:>8}  {:<10}{:>6}{:>8}{:>10}{:>7}{:>10}{:>9}\n",
        run.id, s.model_name, s.dataset_name + "/" + s.dataset_split,
        format_shortest(s.certify.sigma), s.certify.n0, s.certify.n,
        format_shortest(s.certify.alpha),
        s.certify.p_b == SecondBound::counted ? "counted" : "complement", s.certify.seed,
        summary.images, summary.correct_certified, summary.wrong, summary.abstained,
        format_down(summary.acr, 4));
  }
  return text;
}

nlohmann::json run_array(const ResultsStore& store) {
  nlohmann::json array = nlohmann::json::array();
  for (const RunInfo& run : store.runs()) {
    const RunSettings& s = run.settings;
    const Summary summary = summarise(store.certificates(run.id));
    array.push_back({{"run", run.id},
                     {"key", run.key},
                     {"model", s.model_name},
                     {"model_hash", s.model_hash},
                     {"data", s.dataset_name},
                     {"split", s.dataset_split},
                     {"sigma", s.certify.sigma},
                     {"n0", s.certify.n0},
                     {"n", s.certify.n},
                     {"alpha", s.certify.alpha},
                     {"p_b", s.certify.p_b == SecondBound::counted ? "counted" : "complement"},
                     {"seed", s.certify.seed},
                     {"noise", s.certify.noise == NoiseLaw::lattice ? "lattice" : "gaussian"},
                     {"clamp", s.certify.clamp},
                     {"precision", s.precision},
                     {"images", summary.images},
                     {"correct_certified", summary.correct_certified},
                     {"wrong", summary.wrong},
                     {"abstained", summary.abstained},
                     {"avg_radius_certified", summary.avg_radius_certified},
                     {"avg_radius_correct", summary.avg_radius_correct},
                     {"acr", summary.acr},
                     {"acr_standard_error", summary.acr_standard_error}});
  }
  return array;
}

std::filesystem::path store_file(const std::string& text) {
  const std::filesystem::path path = text;
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return path;
  const auto sweep = path / "sweep.sqlite";
  const auto results = path / kResultsFile;
  return !std::filesystem::exists(results, ignored) && std::filesystem::exists(sweep, ignored)
             ? sweep
             : results;
}

}  // namespace smoothcert::cli
