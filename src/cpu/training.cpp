// One epoch: the phases of a step, laid out once, and the threads that walk through them.
#include "cpu/training.hpp"

#include <algorithm>
#include <chrono>

#include "cpu/team.hpp"
#include "cpu/training_layout.hpp"
#include "cpu/training_pass.hpp"
#include "smoothcert/error.hpp"
#include "train/epoch_request.hpp"
#include "train/optimizer_step.hpp"
#include "train/step_program.hpp"

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

/// The kernels' own types, which are the same in every instruction set.
AdamParameters lane_step(const device::AdamStep& s) {
  return {s.step_size, s.root_scale, s.beta1, s.beta2, s.eps, s.weight_decay};
}
SgdParameters lane_step(const device::SgdStep& s) {
  return {s.learning_rate, s.momentum, s.weight_decay};
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
        steps_(request),
        lanes_(cast(kernels_.lanes)),
        groups_(groups_of(std::max<std::size_t>(steps_.largest(), 1))),
        program_(training_program(recipe_, steps_.largest())),
        pass_(graph_, parameters_, groups_, true, contains<step_op::KeepClean>(program_)),
        threads_(pool.threads()),
        group_chunk_(std::clamp(groups_ / threads_, 1, kGroups)) {
    parameters_.load(optimizer, recipe_.optimizer);
    runs_ = split_parameters(graph_);
    const std::size_t chunks = cast((groups_ + group_chunk_ - 1) / group_chunk_);
    team_ = std::make_unique<Team>(pool, std::max(chunks, runs_.size()), cast(groups_));
    for (int t = 0; t < threads_; ++t) scratch_.push_back(pass_.make_scratch());
    report_.step_loss.resize(steps_.count());
    report_.step_accuracy.resize(steps_.count());
    if (steps_.count() > 0) prepare(0);
  }

  EpochReport run() {
    const auto start = std::chrono::steady_clock::now();
    std::exception_ptr error;
    try {
      if (steps_.count() > 0) team_->run([this](int worker) { work(worker); });
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
    for (std::size_t step = 0; step < steps_.count(); ++step) {
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
        const bool last = phase.after == Phase::After::update;
        team_->for_each(worker, runs_.size(), [&](std::size_t i) {
          collect(runs_[i], phase.add);
          if (last) update(runs_[i], phase.optimizer);
        });
        if (!team_->together(worker, [&] {
              if (last) finish_step(step);
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
      pass_.combine_backward(phase.norm, batch_.size, batch_groups_, phase.parameters, phase.add);
  }

  /// Sums the lane groups' gradients of a run of parameters.
  void collect(const ParameterRun& run, bool add) {
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
      step.accumulate = add;
      kernels_.linear_weights(step, gradients + run.node->weight);
    } else if (run.source == ParameterRun::Source::slots) {
      for (int group = 0; group < batch_groups_; ++group) {
        const float* from = pass_.slot(group) + run.slot;
        float* to = gradients + run.first;
        const std::size_t count = run.last - run.first;
        if (group == 0 && !add)
          std::copy_n(from, count, to);
        else
          for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
      }
    }
  }

  void update(const ParameterRun& run, OptimizerSpec::Kind optimizer) {
    const std::size_t first = run.first, count = run.last - run.first;
    const float* gradients = parameters_.gradients() + first;
    float* values = parameters_.values() + first;
    switch (optimizer) {
      case OptimizerSpec::Kind::adam:
        kernels_.adam(lane_step(numbers_.adam), count, gradients, values,
                      parameters_.moment(0) + first, parameters_.moment(1) + first);
        break;
      case OptimizerSpec::Kind::sgd:
        kernels_.sgd(lane_step(numbers_.sgd), count, gradients, values,
                     parameters_.moment(0) + first);
        break;
    }
    parameters_.publish(run.first, run.last);
  }

  void finish_step(std::size_t step) {
    const auto result = pass_.result(batch_groups_);
    const auto count = static_cast<double>(batch_.size);
    StepReport report;
    report.step = optimizer_.step + step;
    report.steps_in_epoch = steps_.count();
    report.loss = static_cast<float>(result.loss / count);
    report.accuracy = static_cast<float>(static_cast<double>(result.correct) / count);
    report_.step_loss[step] = report.loss;
    report_.step_accuracy[step] = report.accuracy;
    ++done_;
    if (uses_running_statistics(program_)) parameters_.use_running_statistics();
    if (request_.on_step) request_.on_step(report);
    if (step + 1 == steps_.count()) return;
    if (request_.stop.stop_requested()) throw Interrupted("training stopped");
    prepare(step + 1);
  }

  /// The batch, the phases and the optimiser's constants of a step.
  void prepare(std::size_t step) {
    const std::size_t first = steps_.first(step), size = steps_.size(step);
    batch_groups_ = groups_of(size);
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
    pass_.clear_results();
    if (size != laid_out_for_) {
      program_ = training_program(recipe_, size);
      phases_ = lay_out_step(pass_, program_);
      laid_out_for_ = size;
    }
    numbers_ = optimizer_step(request_, global);
  }

  [[nodiscard]] int groups_of(std::size_t images) const {
    return static_cast<int>((images + lanes_ - 1) / lanes_);
  }

  Network& net_;
  OptimizerState& optimizer_;
  const EpochRequest& request_;
  const TrainRecipe& recipe_;
  const TrainKernels& kernels_;
  TrainGraph graph_;
  TrainParameters parameters_;
  const EpochSteps steps_;
  const std::size_t lanes_;
  const int groups_;
  StepProgram program_;  ///< of the step at hand
  TrainingPass pass_;
  const int threads_;
  const int group_chunk_;
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
  OptimizerStep numbers_{};
  EpochReport report_;
  std::uint64_t done_ = 0;
};

}  // namespace

EpochReport train_epoch(Network& net, OptimizerState& optimizer, ThreadPool& pool,
                        const EpochRequest& request) {
  check_epoch(net.spec, request);
  return Epoch(net, optimizer, pool, request).run();
}

}  // namespace smoothcert::cpu
