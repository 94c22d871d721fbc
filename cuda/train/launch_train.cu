// Launches of the training kernels: steps, losses, attacks, optimisers.
#include "cuda/runtime/launch.cuh"
#include "cuda/train/attack_kernels.cuh"
#include "cuda/train/launch_train.hpp"
#include "cuda/train/loss_kernels.cuh"
#include "cuda/train/optimizer_kernels.cuh"
#include "cuda/votes/batch_kernels.cuh"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

void gather_batch(Stream stream, const EpochData& data, float sigma, bool clamp,
                  std::uint32_t split_width, std::uint32_t n, float* images, Label* labels,
                  std::uint32_t* ids) {
  const unsigned threads = block_threads();
  const std::uint64_t work = std::uint64_t{n} * ((data.image_size + 3) / 4);
  SMOOTHCERT_LAUNCH(gather_batch_kernel, dim3(blocks_for(work, threads)), dim3(threads), 0, stream,
                    data, (TrainNoise{sigma, clamp, split_width}), n, images, labels, ids);
}

void loss_and_gradient(Stream stream, LossKind loss, const float* logits, const Label* labels,
                       std::uint32_t n, int classes, float scale, float* gradient) {
  const unsigned threads = 64;  // few images: more blocks find more SMs
  const LossFunction function =
      loss == LossKind::cross_entropy ? LossFunction::cross_entropy : LossFunction::margin;
  SMOOTHCERT_LAUNCH(loss_kernel, dim3(blocks_for(n, threads)), dim3(threads), 0, stream, function,
                    logits, labels, n, classes, scale, gradient);
}

void training_loss(Stream stream, const float* logits, const Label* labels, std::uint32_t n,
                   int classes, float scale, float* gradient, float weight, bool add, bool last,
                   EpochState* state, float* step_loss, float* step_accuracy) {
  const StepReportTo to{weight, add, last, state, step_loss, step_accuracy};
  SMOOTHCERT_LAUNCH(training_loss_kernel, dim3(1), dim3(block_threads()), 0, stream, logits, labels,
                    n, classes, scale, gradient, to);
}

void adam(Stream stream, const OptimizerStep* steps, const EpochState* state, std::size_t count,
          const float* gradient, float* parameters, float* m, float* v) {
  const unsigned threads = block_threads();
  SMOOTHCERT_LAUNCH(adam_kernel, dim3(blocks_for(count, threads)), dim3(threads), 0, stream, steps,
                    state, count, gradient, parameters, m, v);
}

void sgd(Stream stream, const OptimizerStep* steps, const EpochState* state, std::size_t count,
         const float* gradient, float* parameters, float* buffer) {
  const unsigned threads = block_threads();
  SMOOTHCERT_LAUNCH(sgd_kernel, dim3(blocks_for(count, threads)), dim3(threads), 0, stream, steps,
                    state, count, gradient, parameters, buffer);
}

void attack_step(Stream stream, AttackKind kind, float length, float epsilon, const float* gradient,
                 const float* clean, std::uint32_t n, std::uint32_t size, float* images) {
  AttackStep step{StepDirection::l2, length, Projection::none, epsilon};
  switch (kind) {
    case AttackKind::fgm_l1:
      step.direction = StepDirection::l1;
      break;
    case AttackKind::fgm_l1_steepest:
      step.direction = StepDirection::single_pixel;
      break;
    case AttackKind::fgm_l2:
      break;
    case AttackKind::fgm_linf:
      step.direction = StepDirection::sign;
      break;
    case AttackKind::pgd_l2:
      step.projection = Projection::l2;
      break;
    case AttackKind::pgd_linf:
      step.direction = StepDirection::sign;
      step.projection = Projection::linf;
      break;
  }
  const unsigned threads = block_threads();
  SMOOTHCERT_LAUNCH(attack_step_kernel, dim3(blocks_for(n, threads / 32)), dim3(threads), 0, stream,
                    step, gradient, clean, n, size, images);
}

void random_start(Stream stream, AttackKind kind, float epsilon, std::uint64_t seed,
                  std::uint32_t sample, const EpochState* state, const float* clean,
                  const std::uint32_t* ids, std::uint32_t n, std::uint32_t size, float* images) {
  const unsigned threads = block_threads();
  const StartBall ball{kind == AttackKind::pgd_l2 ? Projection::l2 : Projection::linf, epsilon};
  SMOOTHCERT_LAUNCH(random_start_kernel, dim3(blocks_for(n, threads / 32)), dim3(threads), 0,
                    stream, ball, seed, sample, state, clean, ids, n, size, images);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
