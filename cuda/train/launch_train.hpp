// Every launch of training and attacks, callable from plain C++. Asynchronous on the given stream;
// pointers are device pointers; activations are NCHW.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/runtime/abi.hpp"
#include "gpu/epoch_state.hpp"
#include "gpu/train_plan.hpp"
#include "smoothcert/attack_spec.hpp"
#include "smoothcert/label.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Images of the state's step in [0,1] units, with splitting noise for split_width > 0, else with
/// Gaussian noise for sigma > 0; their labels and data-set indices.
void gather_batch(Stream stream, const EpochData& data, float sigma, bool clamp,
                  std::uint32_t split_width, std::uint32_t n, float* images, Label* labels,
                  std::uint32_t* ids);

/// gradient = scale · ∂loss/∂logits.
void loss_and_gradient(Stream stream, LossKind loss, const float* logits, const Label* labels,
                       std::uint32_t n, int classes, float scale, float* gradient);
/// Cross-entropy's gradient, and weight · mean loss and the accuracy into the state's step; `add`
/// adds the loss to what is there. The step's `last` pass moves the state on to the next step.
void training_loss(Stream stream, const float* logits, const Label* labels, std::uint32_t n,
                   int classes, float scale, float* gradient, float weight, bool add, bool last,
                   EpochState* state, float* step_loss, float* step_accuracy);

/// The step that the state is `updating`.
void adam(Stream stream, const OptimizerStep* steps, const EpochState* state, std::size_t count,
          const float* gradient, float* parameters, float* m, float* v);
void sgd(Stream stream, const OptimizerStep* steps, const EpochState* state, std::size_t count,
         const float* gradient, float* parameters, float* buffer);

/// One step of the attack on images, which hold the clean ones at first, or a random start.
void attack_step(Stream stream, AttackKind kind, float length, float epsilon, const float* gradient,
                 const float* clean, std::uint32_t n, std::uint32_t size, float* images);

/// images = points drawn uniformly from the ε-balls around the clean ones, clamped. `sample` is the
/// counter's: the restart of an attack. With a state, its seed and global step take the place of
/// both.
void random_start(Stream stream, AttackKind kind, float epsilon, std::uint64_t seed,
                  std::uint32_t sample, const EpochState* state, const float* clean,
                  const std::uint32_t* ids, std::uint32_t n, std::uint32_t size, float* images);

/// Layers. Shapes are the layer's; n images.
void relu(Stream stream, const float* in, std::size_t count, float* out);
/// relu(in + bias[channel]).
void bias_relu(Stream stream, const float* in, const float* bias, const ActivationShape& shape,
               std::uint32_t n, float* out);
void relu_backward(Stream stream, const float* out, const float* out_gradient, std::size_t count,
                   bool add, float* in_gradient);
void add(Stream stream, const float* a, const float* b, std::size_t count, float* out);
void pass_gradient(Stream stream, const float* out_gradient, std::size_t count, bool add,
                   float* in_gradient);
void swap_values(Stream stream, float* a, float* b, std::size_t count);
void affine(Stream stream, const float* in, const float* scale, const float* shift,
            const ActivationShape& shape, std::uint32_t n, float* out);
void affine_backward(Stream stream, const float* out_gradient, const float* scale,
                     const ActivationShape& shape, std::uint32_t n, bool add, float* in_gradient);
void average(Stream stream, const float* in, const ActivationShape& in_shape, std::uint32_t n,
             float* out);
void average_backward(Stream stream, const float* out_gradient, const ActivationShape& in_shape,
                      std::uint32_t n, bool add, float* in_gradient);
void add_bias(Stream stream, const float* bias, const ActivationShape& shape, std::uint32_t n,
              float* out);
/// Sum over images and positions, per channel. scratch: see scratch_floats().
void bias_gradient(Stream stream, const float* out_gradient, const ActivationShape& shape,
                   std::uint32_t n, bool add, float* scratch, float* gradient);

/// The pooling window of a layer; `winner` may be null in the forward direction.
struct Pooling {
  ActivationShape in, out;
  int kernel = 0, stride = 1, padding = 0;
};
void maxpool(Stream stream, const Pooling& pool, std::uint32_t n, const float* in, float* out,
             int* winner);
/// Of relu(in + bias[channel]); `bias` may be null.
void relu_maxpool(Stream stream, const Pooling& pool, std::uint32_t n, const float* in,
                  const float* bias, float* out, int* winner);
/// With `pooled`, the outputs of relu_maxpool(), through the relu as well; null for maxpool().
void maxpool_backward(Stream stream, const Pooling& pool, std::uint32_t n, const int* winner,
                      const float* pooled, const float* out_gradient, bool add, float* in_gradient);

/// statistics: running mean, running variance; saved: mean, 1/√(variance + eps) used; scratch: see
/// scratch_floats().
void batchnorm(Stream stream, const TrainLayer& layer, ForwardMode mode, std::uint32_t n,
               const float* in, const float* gamma, const float* beta, float* statistics,
               float* saved, float* scratch, float* out);
/// `parameters`: gradients of γ and β (null: not wanted); in_gradient may be null. `through_relu`:
/// `in` is a relu's output, and in_gradient is of the relu's input.
void batchnorm_backward(Stream stream, const TrainLayer& layer, ForwardMode mode, std::uint32_t n,
                        const float* in, const float* gamma, const float* saved,
                        const float* out_gradient, float* scratch, float* gamma_gradient,
                        float* beta_gradient, bool add_parameters, float* in_gradient, bool add,
                        bool through_relu);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
