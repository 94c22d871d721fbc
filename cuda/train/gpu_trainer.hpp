// A Trainer on one GPU: makes the device current for each call, and forgets what a failed or
// interrupted epoch left behind.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "cuda/layers/layer_engine.hpp"
#include "cuda/runtime/context.hpp"
#include "cuda/train/cuda_queue.hpp"
#include "cuda/train/trainer.hpp"

namespace smoothcert::gpu {

class GpuTrainer {
 public:
  GpuTrainer(int device, const NetworkSpec& spec) : device_(device) {
    const DeviceScope scope(device_);
    auto on_device = make_cuda_queue();
    engine_ = &on_device->engine();
    trainer_ = std::make_unique<Trainer>(std::move(on_device), spec);
  }
  ~GpuTrainer() {
    cudaSetDevice(device_);
    trainer_.reset();
  }
  GpuTrainer(const GpuTrainer&) = delete;
  GpuTrainer& operator=(const GpuTrainer&) = delete;

  /// The network has other parameters now.
  void changed() { loaded_ = false; }

  /// Trains `net` and `optimizer` in place; when it throws, both are as before.
  EpochReport train_epoch(const EpochRequest& request, Network& net, OptimizerState& optimizer) {
    const DeviceScope scope(device_);
    load(net);
    loaded_ = false;
    EpochReport report = trainer_->train_epoch(request, optimizer);
    trainer_->store(net);
    loaded_ = true;
    return report;
  }

  void input_gradient(const Network& net, std::span<const float> images,
                      std::span<const Label> labels, LossKind loss, std::span<float> gradient,
                      std::span<float> logits) {
    const DeviceScope scope(device_);
    load(net);
    trainer_->input_gradient(images, labels, loss, gradient, logits);
  }

  /// "cuDNN 9.19.0 fp32, cuBLAS 13.1.0 fp32; 128×1×28×28 → 5, 5×5: forward 1, data 1, filter 1".
  [[nodiscard]] std::string describe() const {
    std::string text = engine_->describe();
    for (const std::string& line : engine_->algorithms()) text += "; " + line;
    return text;
  }

 private:
  void load(const Network& net) {
    if (!loaded_) trainer_->load(net);
    loaded_ = true;
  }

  int device_;
  bool loaded_ = false;
  LayerEngine* engine_ = nullptr;  // the device's, which the trainer owns
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace smoothcert::gpu
