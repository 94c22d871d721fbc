// One epoch: the phases of a step, laid out once, and the threads that walk through them.
#include "cpu/training.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "cpu/team.hpp"
#include "cpu/training_layout.hpp"
#include "cpu/training_pass.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

void check(const NetworkSpec& spec, const EpochRequest& request) {
  const Dataset& data = request.data;
  if (!(data.shape == spec.input) || data.classes > spec.classes)
    throw UsageError("training: data set '" + data.name + "' does not fit network '" + spec.name +
                     "'");
  if (request.recipe.batch_size < 1)
    throw UsageError("training: the batch size must be at least 1");
  if (request.recipe.regime == Regime::adversarial && is_pgd(request.recipe.attack) &&
      request.recipe.attack.steps < 1)
    throw UsageError("training: PGD needs at least 1 step");
  for (const std::uint32_t index : request.order)
    if (index >= data.size())
      throw UsageError("training: image " + std::to_string(index) + " is not in data set '" +
                       data.name + "', which has " + std::to_string(data.size()));
}

class Epoch {
 public:
  Epoch(Network& net, OptimizerState& optimizer, ThreadPool& pool, const EpochRequest& request)
      : net_(net),
        optimizer_(optimizer),
        request_(request),
        recipe_(request.recipe),
        kernels_(active_train_kernels()),
        graph_(net.spec, kernels_.lanes),
        parameters_(graph_, net),
        batch_size_(
            std::min(cast(recipe_.batch_size), std::max<std::size_t>(request.order.size(), 1))),
        lanes_(cast(kernels_.lanes)),
        groups_(static_cast<int>((batch_size_ + lanes_ - 1) / lanes_)),
        pass_(graph_, parameters_, groups_, true, recipe_.regime == Regime::adversarial),
        threads_(pool.threads()),
        group_chunk_(std::clamp(groups_ / threads_, 1, kGroups)),
        steps_((request.order.size() + batch_size_ - 1) / batch_size_) {
    parameters_.load(optimizer, recipe_.optimizer);
    runs_ = split_parameters(graph_);
    const std::size_t chunks = cast((groups_ + group_chunk_ - 1) / group_chunk_);
    team_ = std::make_unique<Team>(pool, std::max(chunks, runs_.size()), cast(groups_));
    for (int t = 0; t < threads_; ++t) scratch_.push_back(pass_.make_scratch());
    report_.step_loss.resize(steps_);
    report_.step_accuracy.resize(steps_);
    if (steps_ == 0) return;
    check_norms(request.order.size() - (steps_ - 1) * batch_size_);
    prepare(0);
  }

  EpochReport run() {
    const auto start = std::chrono::steady_clock::now();
    std::exception_ptr error;
    try {
      if (steps_ > 0) team_->run([this](int worker) { work(worker); });
    } catch (...) {
      error = std::current_exception();
    }
    parameters_.store(net_);
    parameters_.store(optimizer_, recipe_.optimizer);
    optimizer_.step += done_;
    if (error) std::rethrow_exception(error);
    report_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(report_);
  }

 private:
  void work(int worker) {
    Scratch& scratch = scratch_[cast(worker)];
    for (std::size_t step = 0; step < steps_; ++step) {
      for (std::size_t p = 0; p < phases_.size(); ++p) {
        const Phase& phase = phases_[p];
        if (!phase.ops.empty()) {
          const int chunks = (batch_groups_ + group_chunk_ - 1) / group_chunk_;
          team_->for_each(worker, cast(chunks), [&](std::size_t chunk) {
            const int first = static_cast<int>(chunk) * group_chunk_;
            pass_.run(phase.ops, batch_, first, std::min(first + group_chunk_, batch_groups_),
                      scratch);
          });
          if (!team_->together(worker, [&] { meet(phase); })) return;
        }
        if (phase.after != Phase::After::collect && phase.after != Phase::After::update) continue;
        const bool update = phase.after == Phase::After::update;
        team_->for_each(worker, runs_.size(),
                        [&](std::size_t i) { collect(runs_[i], phase.accumulate, update); });
        if (!team_->together(worker, [&] {
              if (update) finish_step(step);
            }))
          return;
      }
    }
  }

  /// What one thread does while the others wait.
  void meet(const Phase& phase) {
    if (phase.after == Phase::After::forward_statistics)
      pass_.combine_forward(phase.norm, batch_.size, batch_groups_);
    if (phase.after == Phase::After::backward_statistics)
      pass_.combine_backward(phase.norm, batch_.size, batch_groups_, phase.weights,
                             phase.accumulate);
  }

  void collect(const ParameterRun& run, bool accumulate, bool update) {
    float* gradients = parameters_.gradients();
    if (run.source == ParameterRun::Source::linear) {
      LinearWeightStep step;
      step.inputs = static_cast<int>(run.node->in_shape.size());
      step.first = run.first_row;
      step.last = run.last_row;
      step.groups = batch_groups_;
      step.in = pass_.value(run.node->in, 0);
      step.grad = pass_.gradient(run.node->out, 0);
      step.in_group = pass_.group_stride(run.node->in);
      step.grad_group = pass_.group_stride(run.node->out);
      step.accumulate = accumulate;
      kernels_.linear_weights(step, gradients + run.node->weight);
    } else if (run.source == ParameterRun::Source::slots) {
      for (int group = 0; group < batch_groups_; ++group) {
        const float* from = pass_.slot(group) + run.slot;
        float* to = gradients + run.first;
        const std::size_t count = run.last - run.first;
        if (group == 0 && !accumulate)
          std::copy_n(from, count, to);
        else
          for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
      }
    }
    if (!update) return;
    const std::size_t first = run.first, count = run.last - run.first;
    if (recipe_.optimizer.kind == OptimizerSpec::Kind::adam)
      kernels_.adam(adam_, count, gradients + first, parameters_.values() + first,
                    parameters_.moment(0) + first, parameters_.moment(1) + first);
    else
      kernels_.sgd(sgd_, count, gradients + first, parameters_.values() + first,
                   parameters_.moment(0) + first);
    parameters_.publish(run.first, run.last);
  }

  void finish_step(std::size_t step) {
    const auto result = pass_.result(batch_groups_);
    const auto count = static_cast<double>(batch_.size);
    StepReport report;
    report.step = optimizer_.step + step;
    report.steps_in_epoch = steps_;
    report.loss = static_cast<float>(result.loss / count);
    report.accuracy = static_cast<float>(static_cast<double>(result.correct) / count);
    report_.step_loss[step] = report.loss;
    report_.step_accuracy[step] = report.accuracy;
    ++done_;
    if (recipe_.regime == Regime::adversarial && recipe_.attack_mode == ForwardMode::eval)
      parameters_.use_running_statistics();
    if (request_.on_step) request_.on_step(report);
    if (step + 1 == steps_) return;
    if (request_.stop.stop_requested()) throw Interrupted("training stopped");
    prepare(step + 1);
  }

  void check_norms(std::size_t size) const {
    for (const TrainNorm& norm : graph_.norms)
      if (norm.area * size == 1)
        throw UsageError("training: a batch of one image leaves BatchNorm '" + norm.name +
                         "' a single value per channel; choose another batch size");
  }

  /// The batch, the phases and the optimiser's constants of a step.
  void prepare(std::size_t step) {
    const std::size_t first = step * batch_size_;
    const std::size_t size = std::min(batch_size_, request_.order.size() - first);
    batch_groups_ = static_cast<int>((size + lanes_ - 1) / lanes_);
    pixels_.resize(cast(groups_) * lanes_);
    ids_.resize(pixels_.size());
    labels_.resize(pixels_.size());
    for (std::size_t i = 0; i < cast(batch_groups_) * lanes_; ++i) {
      ids_[i] = request_.order[first + std::min(i, size - 1)];
      pixels_[i] = request_.data.image(ids_[i]).data();
      labels_[i] = request_.data.labels[ids_[i]];
    }
    const std::uint64_t global = optimizer_.step + step;
    batch_.pixels = pixels_.data();
    batch_.ids = ids_.data();
    batch_.labels = labels_.data();
    batch_.size = size;
    batch_.seed = request_.seed;
    batch_.step = global;
    batch_.sigma = static_cast<float>(recipe_.sigma);
    batch_.clamp = recipe_.clamp;
    batch_.split_width = recipe_.lambda > 0 ? noise_width(NoiseLaw::split, recipe_.lambda) : 0;
    batch_.clean = clean_images(recipe_, size);
    batch_.attack = recipe_.attack;
    pass_.clear_results();
    if (size != laid_out_for_) {
      phases_ = lay_out_step(pass_, recipe_, size);
      laid_out_for_ = size;
    }
    const double rate = learning_rate_at(request_, global);
    const OptimizerSpec& o = recipe_.optimizer;
    const double t = static_cast<double>(global + 1);
    adam_ = {static_cast<float>(rate / (1 - std::pow(o.beta1, t))),
             static_cast<float>(1 / std::sqrt(1 - std::pow(o.beta2, t))),
             static_cast<float>(o.beta1),
             static_cast<float>(o.beta2),
             static_cast<float>(o.eps),
             static_cast<float>(o.weight_decay)};
    sgd_ = {static_cast<float>(rate), static_cast<float>(o.momentum),
            static_cast<float>(o.weight_decay)};
  }

  Network& net_;
  OptimizerState& optimizer_;
  const EpochRequest& request_;
  const TrainRecipe& recipe_;
  const TrainKernels& kernels_;
  TrainGraph graph_;
  TrainParameters parameters_;
  const std::size_t batch_size_, lanes_;
  const int groups_;
  TrainingPass pass_;
  const int threads_;
  const int group_chunk_;
  const std::size_t steps_;
  std::unique_ptr<Team> team_;
  std::vector<Scratch> scratch_;
  std::vector<ParameterRun> runs_;
  std::vector<Phase> phases_;
  std::size_t laid_out_for_ = 0;
  std::vector<const std::uint8_t*> pixels_;
  std::vector<std::uint32_t> ids_;
  std::vector<Label> labels_;
  Batch batch_;
  int batch_groups_ = 0;
  AdamParameters adam_{};
  SgdParameters sgd_{};
  EpochReport report_;
  std::uint64_t done_ = 0;
};

}  // namespace

EpochReport train_epoch(Network& net, OptimizerState& optimizer, ThreadPool& pool,
                        const EpochRequest& request) {
  check(net.spec, request);
  return Epoch(net, optimizer, pool, request).run();
}

}  // namespace smoothcert::cpu
