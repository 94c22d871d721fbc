// A model whose images have other indices in the noise's counters than in their data set.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/external_model.hpp"

namespace smoothcert::python {

/// Image i draws the noise of image first + i. For one call of the field's class, which has one
/// image and is numbered itself. Only votes are different; the rest is the model's own.
class Renumbered : public BackendModel {
 public:
  Renumbered(BackendModel& model, std::uint32_t first) : model_(model), first_(first) {}

  std::unique_ptr<VoteRun> count_votes(
      const VoteSettings& settings, std::vector<VoteJob> jobs,
      std::function<void(const VoteResult&)> on_result) override {
    for (VoteJob& job : jobs) job.image += first_;
    return model_.count_votes(settings, std::move(jobs), std::move(on_result));
  }
  [[nodiscard]] const NetworkSpec& spec() const override { return model_.spec(); }
  [[nodiscard]] std::string describe_votes(const VoteSettings& settings) const override {
    return model_.describe_votes(settings);
  }
  void upload(const Network& net) override { model_.upload(net); }
  void download(Network& net) const override { model_.download(net); }
  void upload(const OptimizerState& state) override { model_.upload(state); }
  void download(OptimizerState& state) const override { model_.download(state); }
  EpochReport train_epoch(const EpochRequest& request) override {
    return model_.train_epoch(request);
  }
  void forward(std::span<const float> images, std::span<float> logits) override {
    model_.forward(images, logits);
  }
  void input_gradient(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                      std::span<float> gradient, std::span<float> logits) override {
    model_.input_gradient(images, labels, loss, gradient, logits);
  }

 private:
  BackendModel& model_;
  std::uint32_t first_;
};

/// The same of a caller's forward pass, whose tiles the library asks for.
class RenumberedExternal final : public Renumbered, public ExternalForward {
 public:
  RenumberedExternal(BackendModel& model, ExternalForward& external, std::uint32_t first)
      : Renumbered(model, first), external_(external) {}
  void prepare(const VoteSettings& settings, std::span<const std::uint8_t> pixels) override {
    external_.prepare(settings, pixels);
  }
  [[nodiscard]] ExternalIdentity identity() const override { return external_.identity(); }
  [[nodiscard]] std::uint64_t tile() const override { return external_.tile(); }

 private:
  ExternalForward& external_;
};

inline std::unique_ptr<BackendModel> renumbered(BackendModel& model, std::uint32_t first) {
  if (auto* external = dynamic_cast<ExternalForward*>(&model))
    return std::make_unique<RenumberedExternal>(model, *external, first);
  return std::make_unique<Renumbered>(model, first);
}

}  // namespace smoothcert::python
