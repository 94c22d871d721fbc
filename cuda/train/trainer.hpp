// Training and input gradients of one network on one device: the CUDA side of
// BackendModel::train_epoch and input_gradient.
#pragma once

#include <memory>
#include <optional>

#include "cuda/train/device_queue.hpp"
#include "cuda/train/train_step.hpp"
#include "smoothcert/epoch.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

class Trainer {
 public:
  Trainer(std::unique_ptr<DeviceQueue> device, NetworkSpec spec);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Parameters and running statistics, to the device and back.
  void load(const Network& net);
  void store(Network& net) const;

  /// See BackendModel::train_epoch. The host issues the whole epoch as graph launches, kPiece steps
  /// at a time; it waits for a piece only when the next one is already queued, so the device never
  /// runs dry. `on_step` is called after each piece, for its steps in order; `stop` is looked at
  /// between pieces.
  EpochReport train_epoch(const EpochRequest& request, OptimizerState& optimizer);

  void input_gradient(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                      std::span<float> gradient, std::span<float> logits);

  static constexpr std::uint64_t kPiece = 64;

 private:
  struct Batch;
  struct Epoch;

  Batch& batch_memory(std::uint32_t images);
  std::uint32_t gradient_batch(std::uint32_t images);
  void upload_data(const Dataset& data);
  void upload_epoch(const EpochRequest& request, const OptimizerState& optimizer);
  void upload_moments(const OptimizerSpec& spec, const OptimizerState& optimizer);
  void download_moments(const OptimizerSpec& spec, OptimizerState& optimizer) const;
  [[nodiscard]] TrainBuffers buffers() const;
  void run_steps(const EpochRequest& request, std::uint64_t first_global, EpochReport& report);

  std::unique_ptr<DeviceQueue> device_;
  NetworkSpec spec_;
  TrainPlan plan_;
  TrainArray<float> parameters_, parameter_gradients_, statistics_, saved_, constants_;
  TrainArray<float> moment1_, moment2_;
  std::unique_ptr<Batch> batch_;
  std::unique_ptr<Epoch> epoch_;
  std::string data_identity_;
  TrainArray<std::uint8_t> pixels_;
  TrainArray<Label> labels_;
};

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
