// The runs of a store, for people and for scripts.
#include "run_list.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "smoothcert/error.hpp"
#include "smoothcert/study.hpp"
#include "store/codec.hpp"
#include "util/format_number.hpp"
#include "util/printable.hpp"

namespace smoothcert::cli {

ResultsStore::FaultHandler fault_handler(Context& context, const std::filesystem::path& file) {
  return [&context, file](const std::string& line) {
    ++context.left_out;
    context.console.warn(fmt::format("{}: {}; left out", file.string(), printable(line, 400)));
  };
}

std::unique_ptr<ResultsStore> open_store(Context& context, const std::filesystem::path& file,
                                         ResultsStore::Access access) {
  return ResultsStore::open(file, access, fault_handler(context, file));
}

std::string run_table(const ResultsStore& store) {
  constexpr const char* kRow =
      "{:>4}  {:<20}{:<20}{:>8}{:>7}{:>10}{:>8}  {:<12}{:<9}{:<7}{:<9}{:>6}{:>8}{:>10}{:>7}{:>10}"
      "{:>9}  {}\n";
  std::string text =
      fmt::format(kRow, "run", "model", "data", "σ, λ", "n0", "n", "α", "p_B", "noise", "clamp",
                  "mode", "seed", "images", "certified", "wrong", "abstained", "acr", "guarantee");
  for (const RunInfo& run : store.runs()) {
    const RunSettings& s = run.settings;
    const Summary summary = summarise(store.certificates(run.id));
    const bool exact = kind_of(s) == CertificateKind::exact;
    text += fmt::format(
        kRow, run.id, printable(s.model_name),
        printable(s.dataset_name + "/" + s.dataset_split) +
            (s.pixels.empty() ? "" : " " + s.pixels),
        noise_level(s.certify), s.certify.n0, s.certify.n,
        exact ? "-" : format_shortest(s.certify.alpha),
        exact ? std::string("-") : to_name(s.certify.p_b), to_name(s.certify.noise),
        exact             ? "-"
        : s.certify.clamp ? "yes"
                          : "no",
        to_name(s.certify.mode), s.certify.seed, summary.images, summary.correct_certified,
        summary.wrong, summary.abstained, format_down(summary.acr, 4),
        guarantee_text(s) +
            (s.certify.sequential ? "; " + stopping_text(s.certify) : std::string()) +
            (only_correct(store, run) ? "; only images that were right without noise" : ""));
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
                     {noise_traits(s.certify.noise).scale, s.certify.sigma},
                     {"n0", s.certify.n0},
                     {"n", s.certify.n},
                     {"alpha", s.certify.alpha},
                     {"p_b", to_name(s.certify.p_b)},
                     {"seed", s.certify.seed},
                     {"noise", to_name(s.certify.noise)},
                     {"clamp", s.certify.clamp},
                     {"mode", to_name(s.certify.mode)},
                     {"pixels", s.pixels},
                     {"guarantee", guarantee_text(s)},
                     {"norm", to_name(norm_of(s))},
                     {"kind", to_name(kind_of(s))},
                     {"stopping", stopping_text(s.certify)},
                     {"only_correct", only_correct(store, run)},
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

namespace {

namespace fs = std::filesystem;

/// The files in `folder` that are named like stores.
std::vector<fs::path> stores_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure))
    if (entry.path().extension() == ".sqlite" && entry.is_regular_file(failure))
      found.push_back(entry.path());
  if (failure)
    throw Error(
        fmt::format("{}: cannot look into this folder: {}", folder.string(), failure.message()));
  std::ranges::sort(found);
  return found;
}

}  // namespace

fs::path store_file(const std::string& text) {
  const fs::path path = text;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    if (fs::exists(path, ignored)) return path;
    throw Error(fmt::format(
        "there is no results store '{}', and no folder of that name; 'smoothcert compare', "
        "'certify' and 'sweep' make one",
        text));
  }
  for (const std::string_view name : {kResultsFile, std::string_view("sweep.sqlite")})
    if (fs::is_regular_file(path / name, ignored)) return path / name;
  const auto stores = stores_in(path);
  if (stores.size() == 1) return stores.front();
  if (stores.empty())
    throw Error(
        fmt::format("{}: there is no results store in this folder; 'smoothcert compare', 'certify' "
                    "and 'sweep' make one",
                    text));
  constexpr std::size_t kShown = 5;
  std::string names;
  for (std::size_t i = 0; i < std::min(stores.size(), kShown); ++i)
    names += (i > 0 ? ", " : "") + stores[i].filename().string();
  if (stores.size() > kShown) names += ", …";
  throw UsageError(fmt::format("{}: which of the {} results stores in this folder ({})?", text,
                               stores.size(), names));
}

fs::path new_store_file(const std::string& text) {
  std::error_code ignored;
  return fs::is_directory(text, ignored) ? fs::path(text) / kResultsFile : fs::path(text);
}

}  // namespace smoothcert::cli
