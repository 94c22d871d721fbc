// An epoch of training, and input gradients, on one device.
#include "cuda/train/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "cuda/runtime/nvtx.hpp"
#include "gpu/device_memory.hpp"
#include "gpu/step_schedule.hpp"
#include "smoothcert/error.hpp"
#include "train/epoch_request.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

constexpr std::uint32_t kGradientBatch = 1024;

/// The program of the steps on n images, and the name of the graph that is captured of it: all that
/// the graph depends on but the memory.
struct SizedProgram {
  SizedProgram(const TrainRecipe& recipe, std::size_t images)
      : n(static_cast<std::uint32_t>(images)),
        program(training_program(recipe, images)),
        key("n=" + std::to_string(images) + " batch=" + std::to_string(recipe.batch_size) + "\n" +
            to_text(program)) {}
  std::uint32_t n;
  StepProgram program;
  std::string key;
};

}  // namespace

/// Memory for batches of up to `capacity` images.
struct Trainer::Batch {
  Batch(DeviceQueue& device, const TrainPlan& plan, std::uint32_t images)
      : capacity(images),
        values(device, plan.values * images),
        gradients(device, plan.values * images),
        clean(device, plan.graph.input.size() * images),
        scratch(device, scratch_floats(plan, static_cast<int>(images))),
        pools(device, plan.pools * images),
        labels(device, images),
        ids(device, images) {}
  std::uint32_t capacity;
  TrainArray<float> values, gradients, clean, scratch;
  TrainArray<int> pools;
  TrainArray<Label> labels;
  TrainArray<std::uint32_t> ids;
};

/// What an epoch uploads, and what its steps report.
struct Trainer::Epoch {
  Epoch(DeviceQueue& device, std::size_t visits, std::size_t steps)
      : order(device, visits),
        schedule(device, steps),
        state(device, 1),
        loss(device, steps),
        accuracy(device, steps) {}
  TrainArray<std::uint32_t> order;
  TrainArray<OptimizerStep> schedule;
  TrainArray<EpochState> state;
  TrainArray<float> loss, accuracy;
};

Trainer::Trainer(std::unique_ptr<DeviceQueue> device, NetworkSpec spec)
    : device_(std::move(device)),
      spec_(std::move(spec)),
      plan_(make_train_plan(spec_)),
      parameters_(*device_, plan_.graph.parameters),
      parameter_gradients_(*device_, plan_.graph.parameters),
      statistics_(*device_, plan_.graph.statistics),
      saved_(*device_, plan_.saved),
      constants_(*device_, plan_.constants.size()),
      moment1_(*device_, plan_.graph.parameters),
      moment2_(*device_, plan_.graph.parameters) {
  constants_.upload(plan_.constants);
  // The gaps between tensors, which the optimiser passes over like the rest.
  device_->zero(parameter_gradients_.data(), plan_.graph.parameters * sizeof(float));
}

Trainer::~Trainer() { device_->forget_captures(); }

void Trainer::load(const Network& net) {
  parameters_.upload(gather_tensors(plan_.graph, net, true));
  statistics_.upload(gather_tensors(plan_.graph, net, false));
}

void Trainer::store(Network& net) const {
  scatter_tensors(plan_.graph, parameters_.download(), true, net);
  scatter_tensors(plan_.graph, statistics_.download(), false, net);
}

Trainer::Batch& Trainer::batch_memory(std::uint32_t images) {
  if (!batch_ || batch_->capacity < images) {
    device_->forget_captures();
    batch_.reset();
    batch_ = std::make_unique<Batch>(*device_, plan_, images);
    device_->engine().use_scratch(batch_->scratch.data());
  }
  return *batch_;
}

/// Memory for batches of so many images, or of fewer where the device has no room.
std::uint32_t Trainer::gradient_batch(std::uint32_t images) {
  for (;; images /= 2) {
    try {
      batch_memory(images);
      prepare_engine(device_->engine(), plan_, images);
      return images;
    } catch (const OutOfDeviceMemory& error) {
      if (images == 1) throw;
      std::fprintf(stderr, "smoothcert: %s: attack gradients in batches of %u images\n",
                   error.what(), images / 2);
    }
  }
}

void Trainer::upload_data(const Dataset& data) {
  const std::string identity = data.sha256 + " " + std::to_string(data.pixels.size());
  if (!data.sha256.empty() && identity == data_identity_) return;
  device_->forget_captures();
  pixels_ = {};
  labels_ = {};
  pixels_ = TrainArray<std::uint8_t>(*device_, data.pixels.size());
  labels_ = TrainArray<Label>(*device_, data.labels.size());
  pixels_.upload(data.pixels);
  labels_.upload(data.labels);
  data_identity_ = identity;
}

void Trainer::upload_moments(const OptimizerSpec& spec, const OptimizerState& optimizer) {
  const auto names = moment_suffixes(spec.kind);
  TrainArray<float>* const arrays[] = {&moment1_, &moment2_};
  for (std::size_t i = 0; i < names.size(); ++i) {
    arrays[i]->upload(gather_moments(plan_.graph, optimizer, names[i]));
  }
}

void Trainer::download_moments(const OptimizerSpec& spec, OptimizerState& optimizer) const {
  const auto names = moment_suffixes(spec.kind);
  const TrainArray<float>* const arrays[] = {&moment1_, &moment2_};
  for (std::size_t i = 0; i < names.size(); ++i) {
    scatter_moments(plan_.graph, spec_, arrays[i]->download(), names[i], optimizer);
  }
}

void Trainer::upload_epoch(const EpochRequest& request, const OptimizerState& optimizer) {
  const std::size_t visits = request.order.size();
  const std::vector<OptimizerStep> schedule = step_schedule(request, optimizer.step);
  if (!epoch_ || epoch_->order.size() != visits || epoch_->schedule.size() != schedule.size()) {
    device_->forget_captures();
    epoch_.reset();
    epoch_ = std::make_unique<Epoch>(*device_, visits, schedule.size());
  }
  epoch_->order.upload(request.order);
  epoch_->schedule.upload(schedule);
  const EpochState state{request.seed, 0, static_cast<std::uint32_t>(optimizer.step)};
  epoch_->state.upload(std::span(&state, 1));
}

EpochReport Trainer::train_epoch(const EpochRequest& request, OptimizerState& optimizer) {
  const NvtxRange range("train epoch");
  const auto start = std::chrono::steady_clock::now();
  check_epoch(spec_, request);
  if (request.order.empty()) return {};
  batch_memory(static_cast<std::uint32_t>(EpochSteps(request).largest()));
  upload_data(request.data);
  upload_moments(request.recipe.optimizer, optimizer);
  upload_epoch(request, optimizer);

  EpochReport report;
  run_steps(request, optimizer.step, report);
  download_moments(request.recipe.optimizer, optimizer);
  optimizer.step += report.step_loss.size();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

void Trainer::run_steps(const EpochRequest& request, std::uint64_t first_global,
                        EpochReport& report) {
  StepMemory m;
  m.network = buffers();
  m.data = {pixels_.data(),
            labels_.data(),
            epoch_->order.data(),
            epoch_->state.data(),
            static_cast<std::uint32_t>(request.recipe.batch_size),
            static_cast<std::uint32_t>(plan_.graph.input.size())};
  m.state = epoch_->state.data();
  m.optimizer_steps = epoch_->schedule.data();
  m.moment1 = moment1_.data();
  m.moment2 = moment2_.data();
  m.clean = batch_->clean.data();
  m.labels = batch_->labels.data();
  m.ids = batch_->ids.data();
  m.step_loss = epoch_->loss.data();
  m.step_accuracy = epoch_->accuracy.data();

  const EpochSteps cut(request);
  const std::size_t steps = cut.count();
  report.step_loss.resize(steps);
  report.step_accuracy.resize(steps);
  LayerEngine& engine = device_->engine();
  const SizedProgram full(request.recipe, cut.size(0)), last(request.recipe, cut.size(steps - 1));
  prepare_engine(engine, plan_, full.n);
  prepare_engine(engine, plan_, last.n);

  std::size_t reported = 0, queued = 0;
  // Losses are collected one piece behind: while the device works on the piece queued last, the
  // host waits for the mark at the end of the piece before it.
  std::uint64_t previous = 0;
  std::size_t previous_end = 0;
  const auto collect = [&](std::uint64_t mark, std::size_t end) {
    device_->wait(mark);
    device_->download_beside(report.step_loss.data() + reported, m.step_loss + reported,
                             (end - reported) * sizeof(float));
    device_->download_beside(report.step_accuracy.data() + reported, m.step_accuracy + reported,
                             (end - reported) * sizeof(float));
    for (; reported < end; ++reported) {
      if (!request.on_step) continue;
      request.on_step({first_global + reported, steps, report.step_loss[reported],
                       report.step_accuracy[reported]});
    }
  };
  while (queued < steps) {
    const NvtxRange range("issue steps");
    const std::size_t end = std::min<std::size_t>(steps, queued + kPiece);
    for (; queued < end; ++queued) {
      const SizedProgram& step = queued + 1 < steps ? full : last;
      device_->replay(step.key, [&] {
        issue_program(device_->stream(), engine, plan_, m, step.program, step.n);
      });
    }
    const std::uint64_t mark = device_->mark();
    if (previous_end > 0) collect(previous, previous_end);
    previous = mark;
    previous_end = end;
    if (request.stop.stop_requested()) {
      device_->wait(mark);
      throw Interrupted("training stopped");
    }
  }
  collect(previous, previous_end);
}

TrainBuffers Trainer::buffers() const {
  return {batch_->capacity,     batch_->values.data(), batch_->gradients.data(),
          batch_->pools.data(), parameters_.data(),    parameter_gradients_.data(),
          statistics_.data(),   saved_.data(),         batch_->scratch.data(),
          constants_.data()};
}

void Trainer::input_gradient(std::span<const float> images, std::span<const Label> labels,
                             LossKind loss, std::span<float> gradient, std::span<float> logits) {
  const NvtxRange range("input gradient");
  check_input_gradient(spec_, images, labels, gradient, logits);
  const std::size_t size = plan_.graph.input.size(), count = labels.size();
  const auto classes = static_cast<std::size_t>(plan_.graph.classes);
  if (count == 0) return;
  const std::uint32_t most =
      gradient_batch(static_cast<std::uint32_t>(std::min<std::size_t>(count, kGradientBatch)));
  StepMemory m;
  m.network = buffers();
  m.labels = batch_->labels.data();
  const StepProgram program = gradient_program(loss);
  LayerEngine& engine = device_->engine();
  for (std::size_t first = 0; first < count; first += most) {
    const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(most, count - first));
    prepare_engine(engine, plan_, n);
    device_->upload(m.network.value(plan_, kImage), images.data() + first * size,
                    n * size * sizeof(float));
    device_->upload(m.labels, labels.data() + first, n * sizeof(Label));
    issue_program(device_->stream(), engine, plan_, m, program, n);
    device_->download(gradient.data() + first * size, m.network.gradient(plan_, kImage),
                      n * size * sizeof(float));
    if (!logits.empty()) {
      device_->download(logits.data() + first * classes, m.network.value(plan_, plan_.graph.logits),
                        n * classes * sizeof(float));
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
