// A trainer that learns nothing and remembers what it was asked for.
#include "fake_trainer_support.hpp"

#include <algorithm>
#include <limits>

#include "smoothcert/error.hpp"

namespace smoothcert::test {
namespace {

class TrainedFake final : public BackendModel {
 public:
  TrainedFake(FakeTrainer& owner, Network net) : owner_(owner), net_(std::move(net)) {}

  [[nodiscard]] const NetworkSpec& spec() const override { return net_.spec; }
  void upload(const Network& net) override { net_ = net; }
  void download(Network& net) const override { net.tensors = net_.tensors; }
  void upload(const OptimizerState& state) override { optimizer_ = state; }
  void download(OptimizerState& state) const override { state = optimizer_; }

  EpochReport train_epoch(const EpochRequest& request) override {
    owner_.orders.emplace_back(request.order.begin(), request.order.end());
    owner_.rates.push_back(request.learning_rate);
    owner_.total_steps.push_back(request.total_steps);
    EpochReport report;
    const auto batch = static_cast<std::size_t>(request.recipe.batch_size);
    const std::size_t steps = (request.order.size() + batch - 1) / batch;
    for (std::size_t step = 0; step < steps; ++step) {
      const auto images =
          request.order.subspan(step * batch, std::min(batch, request.order.size() - step * batch));
      StepReport s{optimizer_.step, steps, take_step(request, images), 0.5f};
      if (request.epoch == owner_.diverge_in_epoch) s.loss = std::numeric_limits<float>::infinity();
      report.step_loss.push_back(s.loss);
      report.step_accuracy.push_back(s.accuracy);
      if (request.on_step) request.on_step(s);
      ++optimizer_.step;
    }
    report.seconds = 0.25;
    return report;
  }

  void forward(std::span<const float>, std::span<float>) override { throw Error("not here"); }
  void input_gradient(std::span<const float>, std::span<const Label>, LossKind, std::span<float>,
                      std::span<float>) override {
    throw Error("not here");
  }
  std::unique_ptr<VoteRun> count_votes(const VoteSettings&, std::vector<VoteJob>,
                                       std::function<void(const VoteResult&)>) override {
    throw Error("not here");
  }
  [[nodiscard]] std::string describe_votes(const VoteSettings&) const override { return "fake"; }

 private:
  /// Heavy-ball descent of ½·Σ(w − t)², with a target t that depends on the batch and the step.
  float take_step(const EpochRequest& request, std::span<const std::uint32_t> images) {
    float target = static_cast<float>(optimizer_.step % 7);
    for (std::size_t i = 0; i < images.size(); ++i)
      target += static_cast<float>(images[i]) / static_cast<float>(i + 1);
    float loss = 0;
    const auto rate = static_cast<float>(learning_rate_at(request, optimizer_.step));
    for (auto& [name, tensor] : net_.tensors) {
      auto& momentum = optimizer_.slots[name + "/momentum"];
      momentum.shape = tensor.shape;
      momentum.data.resize(tensor.data.size());
      for (std::size_t i = 0; i < tensor.data.size(); ++i) {
        const float gap = tensor.data[i] - target;
        momentum.data[i] = 0.5f * momentum.data[i] + gap;
        tensor.data[i] -= rate * momentum.data[i];
        loss += gap * gap;
      }
    }
    return loss;
  }

  FakeTrainer& owner_;
  Network net_;
  OptimizerState optimizer_;
};

}  // namespace

std::unique_ptr<BackendModel> FakeTrainer::load(const Network& net) {
  return std::make_unique<TrainedFake>(*this, net);
}

}  // namespace smoothcert::test
