// The comparison, end to end: train, attack, certify the same images, keep everything.
#include "smoothcert/compare.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "compare/models.hpp"
#include "compare/pictures.hpp"
#include "compare/plan.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_spec.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/study.hpp"
#include "smoothcert/throughput.hpp"
#include "smoothcert/version.hpp"
#include "util/atomic_file.hpp"
#include "util/format_number.hpp"

namespace smoothcert {
namespace {

using compare_detail::LoadedModel;
using compare_detail::Plan;
using compare_detail::Work;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kShowcaseImages = 6, kNoisyCopies = 8, kWorstImages = 8;
constexpr std::uintmax_t kSpaceNeeded = 64u << 20;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Everything that would only fail after hours is tried first: folder, space, store.
std::unique_ptr<ResultsStore> open_folder(const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder / "models", failure);
  if (failure)
    throw Error(fmt::format("cannot write to {}: {}; choose another folder with --out",
                            folder.string(), failure.message()));
  const auto space = std::filesystem::space(folder, failure);
  if (!failure && space.available < kSpaceNeeded)
    throw Error(
        fmt::format("{}: only {} MB are free there, a comparison needs 64 MB; free some or "
                    "choose another folder with --out",
                    folder.string(), space.available >> 20));
  const auto probe = folder / "models" / ".writable";
  write_file_atomically(probe, std::string_view("x"));
  std::filesystem::remove(probe, failure);
  return ResultsStore::open(folder / kResultsFile, ResultsStore::Access::read_write);
}

void check(const CompareOptions& options, const Dataset& train, const Dataset& test) {
  validate(options.certify);
  if (options.recipes.empty()) throw UsageError("--recipes: at least one recipe is needed");
  for (const auto& recipe : options.recipes) (void)builtin_recipe(recipe);
  auto spec = builtin_network(options.network);
  if (spec.input != test.shape || spec.classes < test.classes)
    throw UsageError(fmt::format(
        "network '{}' takes {} × {} × {} images of {} classes, {} has {} × {} × {} of {}",
        options.network, spec.input.channels, spec.input.height, spec.input.width, spec.classes,
        test.name, test.shape.channels, test.shape.height, test.shape.width, test.classes));
  if (train.shape != test.shape)
    throw UsageError(fmt::format("{}: training and test images differ in size", test.name));
  if (train.size() == 0 || test.size() == 0)
    throw UsageError(fmt::format("{}: no images", test.name));
}

void certify_model(const Work& work, const Network& network, BackendModel& loaded,
                   std::span<const std::uint32_t> indices, StudyModel& model) {
  const std::string activity = "certify " + model.name;
  CertifyCallbacks callbacks;
  callbacks.on_progress = [&](const CertifyProgress& p) {
    const double rate = p.seconds > 0 ? static_cast<double>(p.samples_done) / p.seconds : 0;
    work.progress(
        activity,
        static_cast<double>(p.samples_done) /
            static_cast<double>(std::max<std::uint64_t>(1, p.samples_total)),
        fmt::format("{}/{} images, {:.0f} k samples/s", p.images_done, p.images_total, rate / 1e3));
  };
  const CertificationRequest request{
      network, model.name, work.test, work.options.certify, {indices.begin(), indices.end()}, {}};
  auto result = certify_into_store(work.store, loaded, request, callbacks, work.stop);
  if (const auto line = result.resumed_line(); !line.empty())
    work.say(fmt::format("{}: {}", model.name, line));
  model.run = result.run.settings;
  model.run_key = result.run.key;
  model.certificates = std::move(result.certificates);
  for (const auto& certificate : model.certificates) model.certify_seconds += certificate.seconds;
  model.summary = summarise(model.certificates);
}

std::vector<std::string> caveats(const CompareOptions& options, const Dataset& test) {
  std::vector<std::string> notes;
  const double one_in = 1 / options.certify.alpha;
  notes.push_back(options.certify.alpha == 0.05
                      ? "At α = 0.05 up to one certificate in twenty may be false."
                      : fmt::format("At α = {} up to one certificate in {} may be false.",
                                    format_shortest(options.certify.alpha),
                                    format_count(static_cast<std::uint64_t>(one_in))));
  if (options.stand_in_data)
    notes.push_back(fmt::format(
        "The images ('{}') were drawn by this program: these are not MNIST's figures.", test.name));
  if (options.certify.noise == NoiseLaw::gaussian)
    notes.push_back("Continuous noise: the guarantee holds in real arithmetic only.");
  if (test.rounded_to_lattice)
    notes.push_back("The images were rounded to multiples of 1/255: certificates are about those.");
  return notes;
}

StudyResult head_of(const Work& work, const Plan& plan) {
  const auto& options = work.options;
  StudyResult study;
  study.title = fmt::format("{}: {} ways of training", work.test.name, options.recipes.size());
  study.program_version = kVersion;
  study.arithmetic = kArithmetic;
  study.started = plan.started;
  study.command = options.command;
  study.device = work.backend.describe();
  study.dataset_name = work.test.name;
  study.dataset_origin = work.test.origin;
  study.train_hash = work.train.sha256;
  study.test_hash = work.test.sha256;
  study.stand_in_data = options.stand_in_data;
  study.shape = work.test.shape;
  study.classes = work.test.classes;
  study.train_images = options.train_images > 0
                           ? std::min<std::uint64_t>(options.train_images, work.train.size())
                           : work.train.size();
  study.test_images = work.test.size();
  study.certify = options.certify;
  study.certified_images = plan.certify_indices.size();
  study.attacked_images = plan.attack_indices.size();
  study.subset_note = plan.subset_note;
  study.train_seed = options.seed;
  study.notes = caveats(options, work.test);
  if (!plan.subset_note.empty()) study.notes.push_back("Certified: " + plan.subset_note + ".");
  return study;
}

void write_files(const std::filesystem::path& folder, const StudyResult& study) {
  for (const auto& model : study.models)
    export_tsv(model.certificates, folder / (model.name + ".tsv"), false);
  write_file_atomically(folder / "summary.json",
                        std::string_view(study_summary_json(study) + "\n"));
}

}  // namespace

StudyResult compare(Backend& backend, const Dataset& train, const Dataset& test,
                    const CompareOptions& options, const CompareObserver& observer,
                    std::stop_token stop) {
  check(options, train, test);
  const auto store = open_folder(options.folder);
  compare_detail::check_plan(*store, options, train, test);
  const Work work{backend, train, test, options, observer, *store, stop};

  const std::size_t count = options.recipes.size();
  std::vector<StudyModel> models(count);
  std::vector<Network> networks(count);
  auto start = Clock::now();
  for (std::size_t i = 0; i < count; ++i)
    networks[i] = compare_detail::make_model(work, options.recipes[i], models[i]);
  const double training = seconds_since(start);

  std::vector<std::unique_ptr<BackendModel>> loaded;
  for (const auto& network : networks) loaded.push_back(backend.load(network));
  const auto plan = compare_detail::settle_plan(*store, options, train, test, [&] {
    const auto votes = vote_settings(options.certify, test.shape);
    return measure_votes(*loaded[0], votes, {.repeats = 1, .seconds = 0.5}, {}, stop).median();
  });
  if (!plan.subset_note.empty()) work.say("certifying " + plan.subset_note);

  auto study = head_of(work, plan);
  study.seconds_training = training;
  start = Clock::now();
  for (std::size_t i = 0; i < count; ++i)
    compare_detail::attack_model(work, *loaded[i], plan.attack_indices, models[i]);
  study.seconds_attacks = seconds_since(start);
  for (std::size_t i = 0; i < count; ++i) {
    certify_model(work, networks[i], *loaded[i], plan.certify_indices, models[i]);
    study.seconds_certify += models[i].certify_seconds;
  }

  study.models = std::move(models);
  std::vector<LoadedModel> pairs;
  for (std::size_t i = 0; i < count; ++i) pairs.push_back({&study.models[i], loaded[i].get()});
  study.showcase =
      compare_detail::make_showcase(test, pairs, plan.certify_indices, kShowcaseImages);
  study.demonstrations = compare_detail::make_demonstrations(
      test, pairs, vote_settings(options.certify, test.shape), options.certify.n, kNoisyCopies);
  study.worst.clear();
  for (const StudyModel& model : study.models)
    study.worst.push_back(worst_images(test, model.name, model.certificates, kWorstImages));
  save_study(*store, study);
  write_files(options.folder, study);
  return study;
}

}  // namespace smoothcert
