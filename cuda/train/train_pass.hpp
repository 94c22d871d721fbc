// A network forward and backward on one stream, with gradients of parameters and of the input.
// Runs on a GPU and, in the tests, in the SIMT emulator.
#pragma once

#include "cuda/layers/layer_engine.hpp"
#include "cuda/train/launch_train.hpp"
#include "train/step_program.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Device memory of one network and one batch. A value of the plan lies at offset · capacity.
struct TrainBuffers {
  std::uint32_t capacity = 0;  ///< images
  float* values = nullptr;
  float* gradients = nullptr;  ///< of the values
  int* pools = nullptr;
  float* parameters = nullptr;
  float* parameter_gradients = nullptr;
  float* statistics = nullptr;
  float* saved = nullptr;
  float* scratch = nullptr;  ///< scratch_floats(), which the engine uses as well
  const float* constants = nullptr;

  [[nodiscard]] float* value(const TrainPlan& plan, int value) const {
    return values + plan.place_of(value) * capacity;
  }
  [[nodiscard]] float* gradient(const TrainPlan& plan, int value) const {
    return gradients + plan.place_of(value) * capacity;
  }
};

/// The values of the n images in value(plan, kImage), up to the logits.
void forward_pass(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                  const TrainBuffers& buffers, std::uint32_t n, const step_op::Forward& pass);

/// From the logits' gradient to parameter_gradients or to gradient(plan, kImage).
void backward_pass(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                   const TrainBuffers& buffers, std::uint32_t n, const step_op::Backward& pass);

/// Lets the engine choose its algorithms for batches of n images.
void prepare_engine(LayerEngine& engine, const TrainPlan& plan, std::uint32_t n);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
