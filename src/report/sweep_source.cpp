// From stores and files to the runs of a report, each under a name that tells it apart.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "report/study_tables.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/report.hpp"
#include "smoothcert/result_files.hpp"
#include "util/format_number.hpp"

namespace smoothcert {

namespace {

constexpr std::size_t kMostPictures = 10;

using Part = std::string (*)(const RunSettings&);

/// Of exact runs nothing is sampled, bounded or clamped.
std::string sampled(const RunSettings& s, std::string text) {
  return kind_of(s) == CertificateKind::exact ? std::string() : text;
}

// In the order in which people read them.
const Part kParts[] = {
    [](const RunSettings& s) { return s.dataset_name + " " + s.dataset_split; },
    [](const RunSettings& s) { return noise_level_text(s.certify); },
    [](const RunSettings& s) { return sampled(s, "n₀ = " + format_count(s.certify.n0)); },
    [](const RunSettings& s) { return sampled(s, "n = " + format_count(s.certify.n)); },
    [](const RunSettings& s) { return sampled(s, "α = " + format_shortest(s.certify.alpha)); },
    [](const RunSettings& s) {
      return sampled(s,
                     s.certify.p_b == SecondBound::complement ? "p_B complement" : "p_B counted");
    },
    [](const RunSettings& s) { return fmt::format("seed {}", s.certify.seed); },
    [](const RunSettings& s) {
      return std::string(
          s.certify.noise == NoiseLaw::lattice ? "lattice" : noise_traits(s.certify.noise).words);
    },
    [](const RunSettings& s) { return sampled(s, s.certify.clamp ? "clamped" : "not clamped"); },
    [](const RunSettings& s) { return s.precision; },
    [](const RunSettings& s) {
      return s.pixels.empty() ? "pixels as stored" : "pixels " + s.pixels;
    },
};

bool varies(const std::vector<ReportedRun>& runs, Part part) {
  return std::ranges::any_of(
      runs, [&](const ReportedRun& r) { return part(r.settings) != part(runs.front().settings); });
}

// "gaussian, σ = 0.5": the model, and what differs between the runs; σ or λ always.
void name_runs(std::vector<ReportedRun>& runs) {
  if (runs.empty()) return;
  std::vector<Part> shown;
  for (const Part& part : kParts)
    if (&part == &kParts[1] || varies(runs, part)) shown.push_back(part);
  std::set<std::string> taken;
  for (ReportedRun& run : runs) {
    run.name = run.settings.model_name;
    for (const Part part : shown)
      if (const std::string text = part(run.settings); !text.empty()) run.name += ", " + text;
    const Soundness soundness = soundness_of(run.settings);
    if (soundness != Soundness::as_executed)
      run.name += ", " + std::string(soundness_text(soundness));
    if (run.settings.certify.sequential) run.name += ", " + stopping_text(run.settings.certify);
    if (!taken.insert(run.name).second) {
      run.name += ", run " + run_key(run.settings).substr(0, 8);  // whatever else sets it apart
      taken.insert(run.name);
    }
  }
}

std::string free_name(const SweepResult& sweep, const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2;
       std::ranges::any_of(sweep.runs, [&](const ReportedRun& r) { return r.name == name; }); ++i) {
    name = fmt::format("{} ({})", wanted, i);
  }
  return name;
}

void add_imported(SweepResult& sweep, ImportedResults results) {
  ReportedRun run;
  run.name = free_name(sweep, results.name);
  run.source = results.origin;
  run.imported = true;
  run.certificates = std::move(results.certificates);
  sweep.runs.push_back(std::move(run));
}

// By model, σ, n, α, seed: the order of a table.
bool before(const ReportedRun& a, const ReportedRun& b) {
  const auto key = [](const RunSettings& s) {
    return std::tuple(s.dataset_name, norm_of(s) == Norm::l2 ? 0 : 1, s.model_name, s.model_hash,
                      s.certify.sigma, s.certify.n, s.certify.alpha, s.certify.seed);
  };
  return key(a.settings) < key(b.settings);
}

}  // namespace

SweepResult sweep_of_store(const std::filesystem::path& file, ResultsStore::FaultHandler on_fault) {
  const auto store = ResultsStore::open(file, ResultsStore::Access::read_only, std::move(on_fault));
  SweepResult sweep;
  sweep.stores = {file};
  for (const RunInfo& info : store->runs()) {
    ReportedRun run;
    run.settings = info.settings;
    run.source = file.string();
    run.certificates = store->certificates(info.id);
    run.disproofs = store->disproofs(info.id);
    run.only_correct = only_correct(*store, info);
    if (!run.certificates.empty()) sweep.runs.push_back(std::move(run));
  }
  std::ranges::stable_sort(sweep.runs, before);
  name_runs(sweep.runs);
  std::set<std::string> data;
  for (const ReportedRun& run : sweep.runs) data.insert(run.settings.dataset_name);
  for (ImportedResults& results : imported_results(*store)) add_imported(sweep, std::move(results));
  if (sweep.runs.empty())
    throw Error(
        "results store '" + file.string() +
        "' holds no certificates yet; 'smoothcert certify' and 'smoothcert sweep' make them");
  sweep.title = data.size() == 1 ? "Certified robustness on " + report::dataset_title(*data.begin())
                                 : std::string("Certified robustness");
  return sweep;
}

void add_peer(SweepResult& sweep, const std::filesystem::path& file, const std::string& name) {
  ImportedResults results = import_tsv(file);
  if (!name.empty()) results.name = name;
  if (results.certificates.empty()) {
    sweep.left_out.push_back("No images. '" + file.string() + "' holds none, and is left out.");
    return;
  }
  add_imported(sweep, std::move(results));
}

void add_pictures(SweepResult& sweep, const Dataset& test) {
  const std::string hash = test.sha256.empty() ? dataset_hash(test) : test.sha256;
  bool any = false;
  sweep.pictured = test.shape;
  for (const ReportedRun& run : sweep.runs) {
    if (run.imported || run.settings.dataset_hash != hash) continue;
    any = true;
    WorstImages worst = worst_images(test, run.name, run.certificates, kMostPictures);
    if (!worst.images.empty()) sweep.worst.push_back(std::move(worst));
  }
  if (!any)
    throw UsageError(fmt::format(
        "--pictures: no run here is over {} ({} test images); name the data they were certified on "
        "with --data",
        test.name, test.size()));
}

}  // namespace smoothcert
