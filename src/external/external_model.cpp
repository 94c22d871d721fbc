// A caller's forward pass behind the seam.
#include "smoothcert/external_model.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "cpu/thread_pool.hpp"
#include "external/external_run.hpp"
#include "external/row_independence.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

[[noreturn]] void cannot(const std::string& what) {
  throw UsageError("an external model has no " + what +
                   "; only its votes and answers can be asked for");
}

void check(const ExternalModelSettings& s) {
  const auto fail = [](const std::string& what) { throw UsageError("external model: " + what); };
  if (s.name.empty()) fail("it needs a name");
  if (s.identity.hash.empty()) fail("it needs an identity (model_id)");
  if (s.identity.precision.empty()) fail("what it runs on must be said (precision)");
  if (s.input.channels < 1 || s.input.height < 1 || s.input.width < 1)
    fail("its input has no pixels");
  if (s.classes < 1 || s.classes > kLargestLabel + 1)
    fail(std::to_string(s.classes) + " classes; there are 1 to 65,535");
  if (s.tile < 1 || s.tile > 1 << 20)
    fail("a batch of " + std::to_string(s.tile) + " is outside 1 to 1,048,576");
  if (s.threads < 0 || s.threads > 4096)
    fail("threads: " + std::to_string(s.threads) + " is outside 1 … 4096 (0 = all)");
  const auto record = nlohmann::json::parse(s.identity.record, nullptr, false);
  if (!record.is_object()) fail("its record is no JSON object");
}

void check(const VoteSettings& settings, const std::vector<VoteJob>& jobs) {
  if (settings.mode != Mode::external)
    throw UsageError("votes of an external model are counted in mode external only");
  require_drawable(settings.noise, "votes");
  for (const VoteJob& job : jobs) {
    if (job.pixels == nullptr) throw UsageError("votes: a job has no pixels");
    if (job.first > job.last || job.last > samples_of(settings.noise))
      throw UsageError("votes: samples " + std::to_string(job.first) + " to " +
                       std::to_string(job.last) + " are not a range " +
                       samples_text(settings.noise));
  }
}

}  // namespace

ExternalModel::ExternalModel(ExternalModelSettings settings,
                             std::variant<LogitsCallback, LabelsCallback> forward)
    : settings_(std::move(settings)), forward_(std::move(forward)) {
  check(settings_);
  spec_.name = settings_.name;
  spec_.input = settings_.input;
  spec_.classes = settings_.classes;
  pool_ = std::make_unique<ThreadPool>(settings_.threads == 0 ? usable_processors()
                                                              : settings_.threads);
  tile_ = std::make_shared<std::vector<float>>(static_cast<std::size_t>(settings_.tile) *
                                               spec_.input.size());
}

ExternalModel::~ExternalModel() = default;

void ExternalModel::on(const std::function<void()>& task) const {
  if (settings_.run_on)
    settings_.run_on(task);
  else
    task();
}

const RowFindings& ExternalModel::check_rows(const VoteSettings& settings,
                                             std::span<const std::uint8_t> pixels) {
  if (checked_) return findings_;
  if (pixels.size() != spec_.input.size())
    throw UsageError("external model: an image of " + std::to_string(pixels.size()) +
                     " pixels, it takes " + std::to_string(spec_.input.size()));
  on([&] {
    findings_ = external::check_rows(forward_, settings_, settings.noise, pixels, *pool_, *tile_);
  });
  if (findings_.batch_dependent && !settings_.allow_batch_dependence)
    throw Error(
        "external model: a sample's answer changes with the samples it shares a batch with, so "
        "that a certificate would say nothing about single inputs. Is it in training mode "
        "(model.eval()), or does it normalise over the batch? allow_batch_dependence goes on all "
        "the same, and is recorded");
  checked_ = true;
  return findings_;
}

void ExternalModel::prepare(const VoteSettings& settings, std::span<const std::uint8_t> pixels) {
  (void)check_rows(settings, pixels);
}

ExternalIdentity ExternalModel::identity() const {
  ExternalIdentity identity = settings_.identity;
  auto record = nlohmann::json::parse(identity.record);
  record["tile"] = settings_.tile;
  if (checked_) {
    record["batch_dependent"] = findings_.batch_dependent;
    record["position_dependent"] = findings_.position_dependent;
  }
  identity.record = record.dump();
  return identity;
}

std::uint64_t ExternalModel::tile() const { return static_cast<std::uint64_t>(settings_.tile); }

void ExternalModel::forward(std::span<const float> images, std::span<float> logits) {
  const std::size_t pixels = spec_.input.size(), tile = static_cast<std::size_t>(settings_.tile);
  const auto classes = static_cast<std::size_t>(spec_.classes);
  const std::size_t count = images.size() / pixels;
  if (images.size() != count * pixels || logits.size() != count * classes)
    throw UsageError("external model: images and logits of different numbers");
  external::TileAnswers answers(forward_, tile, spec_.classes);
  for (std::size_t first = 0; first < count; first += tile) {
    const std::size_t rows = std::min(tile, count - first);
    for (std::size_t row = 0; row < tile; ++row)  // the last one fills a short batch up
      std::copy_n(images.data() + (first + std::min(row, rows - 1)) * pixels, pixels,
                  tile_->data() + row * pixels);
    on([&] { answers.run(*tile_); });
    for (std::size_t row = 0; row < rows; ++row) {
      float* out = logits.data() + (first + row) * classes;
      if (answers.labels().empty()) {
        std::copy_n(answers.logits().data() + row * classes, classes, out);
      } else {
        std::fill_n(out, classes, 0.0f);
        out[answers.labels()[row]] = 1;
      }
    }
  }
}

std::unique_ptr<VoteRun> ExternalModel::count_votes(
    const VoteSettings& settings, std::vector<VoteJob> jobs,
    std::function<void(const VoteResult&)> on_result) {
  check(settings, jobs);
  if (!jobs.empty()) (void)check_rows(settings, std::span(jobs.front().pixels, spec_.input.size()));
  external::RunShape shape;
  shape.tile = static_cast<std::size_t>(settings_.tile);
  shape.pixels = spec_.input.size();
  shape.classes = spec_.classes;
  shape.placement = findings_.batch_dependent || findings_.position_dependent
                        ? external::Placement::aligned
                        : external::Placement::packed;
  return external::start_run(forward_, shape, settings.noise, *pool_, *tile_, std::move(jobs),
                             std::move(on_result), settings_.run_on);
}

std::string ExternalModel::describe_votes(const VoteSettings&) const {
  return settings_.identity.precision;
}

void ExternalModel::upload(const Network&) { cannot("weights to upload"); }
void ExternalModel::download(Network&) const { cannot("weights to download"); }
void ExternalModel::upload(const OptimizerState&) { cannot("optimiser"); }
void ExternalModel::download(OptimizerState&) const { cannot("optimiser"); }
EpochReport ExternalModel::train_epoch(const EpochRequest&) { cannot("training"); }
void ExternalModel::input_gradient(std::span<const float> images, std::span<const Label> labels,
                                   LossKind loss, std::span<float> gradient,
                                   std::span<float> logits) {
  if (!settings_.gradient) cannot("gradients");
  const std::size_t size = spec_.input.size(), tile = static_cast<std::size_t>(settings_.tile);
  const auto classes = static_cast<std::size_t>(spec_.classes);
  if (images.size() != labels.size() * size || gradient.size() != images.size() ||
      (!logits.empty() && logits.size() != labels.size() * classes))
    throw UsageError("external model: images, labels and gradients differ in number");
  std::vector<float> unasked;
  for (std::size_t first = 0; first < labels.size(); first += tile) {
    const std::size_t rows = std::min(tile, labels.size() - first);
    std::span<float> out;
    if (logits.empty()) {
      unasked.resize(rows * classes);
      out = unasked;
    } else {
      out = logits.subspan(first * classes, rows * classes);
    }
    on([&] {
      settings_.gradient(images.subspan(first * size, rows * size), labels.subspan(first, rows),
                         loss, gradient.subspan(first * size, rows * size), out);
    });
  }
}

}  // namespace smoothcert
