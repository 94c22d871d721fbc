// A step's program (train/step_program.hpp) issued on a stream: from the data set's bytes to the
// updated parameters, without the host.
#pragma once

#include "cuda/train/train_pass.hpp"
#include "smoothcert/label.hpp"
#include "train/step_program.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Everything a step touches, in device memory.
struct StepMemory {
  TrainBuffers network;
  EpochData data;
  EpochState* state = nullptr;
  const OptimizerStep* optimizer_steps = nullptr;
  float* moment1 = nullptr;  ///< Adam's m, SGD's momentum buffer
  float* moment2 = nullptr;  ///< Adam's v
  float* clean = nullptr;    ///< the images before the attack
  Label* labels = nullptr;
  std::uint32_t* ids = nullptr;
  float* step_loss = nullptr;
  float* step_accuracy = nullptr;
};

/// Carries out a program on n images. One of training is the state's step, and moves the state to
/// the next one; gradient_program() needs no more than `network` and `labels`.
void issue_program(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                   const StepMemory& memory, const StepProgram& program, std::uint32_t n);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
