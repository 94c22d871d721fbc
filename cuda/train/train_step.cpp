// A step's program issued on a stream.
#include "cuda/train/train_step.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

/// One operation of a program after the other, on the same memory.
class Issuer {
 public:
  Issuer(Stream stream, LayerEngine& engine, const TrainPlan& plan, const StepMemory& memory,
         std::uint32_t n)
      : stream_(stream),
        engine_(engine),
        plan_(plan),
        m_(memory),
        n_(n),
        size_(static_cast<std::uint32_t>(plan.graph.input.size())),
        images_(memory.network.value(plan, kImage)) {}

  void operator()(const step_op::LoadBatch& load) {
    gather_batch(stream_, m_.data, load.sigma, load.clamp, load.split_width, n_, images_, m_.labels,
                 m_.ids);
  }
  void operator()(const step_op::KeepClean&) {
    pass_gradient(stream_, images_, std::size_t{n_} * size_, false, m_.clean);
  }
  void operator()(const step_op::SwapClean&) {
    swap_values(stream_, images_, m_.clean, std::size_t{n_} * size_);
  }
  void operator()(const step_op::RestoreClean& restore) {
    pass_gradient(stream_, m_.clean, restore.count * size_, false, images_);
  }
  void operator()(const step_op::RandomStart& start) {
    random_start(stream_, start.kind, start.epsilon, 0, 0, m_.state, m_.clean, m_.ids, n_, size_,
                 images_);
  }
  void operator()(const step_op::Forward& pass) {
    forward_pass(stream_, engine_, plan_, m_.network, n_, pass);
  }
  void operator()(const step_op::AttackLoss& attack) {
    loss_and_gradient(stream_, attack.loss, logits(), m_.labels, n_, plan_.graph.classes, 1.0f,
                      logit_gradient());
  }
  void operator()(const step_op::TrainingLoss& loss) {
    training_loss(stream_, logits(), m_.labels, n_, plan_.graph.classes, loss.scale,
                  logit_gradient(), loss.share, !loss.first, loss.last, m_.state, m_.step_loss,
                  m_.step_accuracy);
  }
  void operator()(const step_op::Backward& pass) {
    backward_pass(stream_, engine_, plan_, m_.network, n_, pass);
  }
  void operator()(const step_op::AttackStep& attack) {
    attack_step(stream_, attack.kind, attack.length, attack.epsilon,
                m_.network.gradient(plan_, kImage), m_.clean, n_, size_, images_);
  }
  void operator()(const step_op::UpdateParameters& update) {
    const std::size_t count = plan_.graph.parameters;
    switch (update.optimizer) {
      case OptimizerSpec::Kind::adam:
        adam(stream_, m_.optimizer_steps, m_.state, count, m_.network.parameter_gradients,
             m_.network.parameters, m_.moment1, m_.moment2);
        break;
      case OptimizerSpec::Kind::sgd:
        sgd(stream_, m_.optimizer_steps, m_.state, count, m_.network.parameter_gradients,
            m_.network.parameters, m_.moment1);
        break;
    }
  }

 private:
  [[nodiscard]] const float* logits() const { return m_.network.value(plan_, plan_.graph.logits); }
  [[nodiscard]] float* logit_gradient() const {
    return m_.network.gradient(plan_, plan_.graph.logits);
  }

  Stream stream_;
  LayerEngine& engine_;
  const TrainPlan& plan_;
  const StepMemory& m_;
  std::uint32_t n_, size_;
  float* images_;
};

}  // namespace

void issue_program(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                   const StepMemory& memory, const StepProgram& program, std::uint32_t n) {
  Issuer issuer(stream, engine, plan, memory, n);
  for (const StepOp& op : program) std::visit(issuer, op);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
