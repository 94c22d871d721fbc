// A linear classifier behind the seam: logits W·x + b, whose input gradient is known in closed
// form. Cannot train, cannot count votes.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::test {

class LinearModel final : public BackendModel {
 public:
  /// `weight` is classes × pixels, row by row.
  LinearModel(ImageShape shape, int classes, std::vector<float> weight, std::vector<float> bias);

  [[nodiscard]] const NetworkSpec& spec() const override { return spec_; }
  void forward(std::span<const float> images, std::span<float> logits) override;
  void input_gradient(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                      std::span<float> gradients, std::span<float> logits) override;

  void upload(const Network&) override { throw Error("not in this fake"); }
  void download(Network&) const override { throw Error("not in this fake"); }
  void upload(const OptimizerState&) override { throw Error("not in this fake"); }
  void download(OptimizerState&) const override { throw Error("not in this fake"); }
  EpochReport train_epoch(const EpochRequest&) override { throw Error("not in this fake"); }
  std::unique_ptr<VoteRun> count_votes(const VoteSettings&, std::vector<VoteJob>,
                                       std::function<void(const VoteResult&)>) override {
    throw Error("not in this fake");
  }
  [[nodiscard]] std::string describe_votes(const VoteSettings&) const override { return "fake"; }

  std::size_t gradient_calls = 0, largest_batch = 0;
  std::chrono::microseconds pause{0};  ///< before each gradient call
  std::optional<float> gradient;       ///< of every pixel, instead of the true one

 private:
  NetworkSpec spec_;
  std::vector<float> weight_, bias_;
};

}  // namespace smoothcert::test
