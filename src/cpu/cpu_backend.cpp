// The CPU behind the seam: holds the network, its plan and the threads, and delegates.
#include <memory>
#include <utility>

#include "cpu/forward.hpp"
#include "cpu/isa.hpp"
#include "cpu/thread_pool.hpp"
#include "cpu/training.hpp"
#include "cpu/votes.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert {
namespace {

class CpuModel final : public BackendModel {
 public:
  CpuModel(Network net, std::shared_ptr<ThreadPool> pool)
      : net_(std::move(net)), plan_(make_inference_plan(net_)), pool_(std::move(pool)) {}

  const NetworkSpec& spec() const override { return net_.spec; }

  void upload(const Network& net) override {
    validate(net, "network");
    net_.tensors = net.tensors;
    make_plan();
  }
  void download(Network& net) const override { net.tensors = net_.tensors; }
  void upload(const OptimizerState& state) override { optimizer_ = state; }
  void download(OptimizerState& state) const override { state = optimizer_; }

  EpochReport train_epoch(const EpochRequest& request) override {
    require_gradients(net_.spec, "training");
    EpochReport report = cpu::train_epoch(net_, optimizer_, *pool_, request);
    make_plan();
    return report;
  }

  void forward(std::span<const float> images, std::span<float> logits) override {
    cpu::forward(plan_, *pool_, images, logits);
  }

  void input_gradient(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                      std::span<float> gradient, std::span<float> logits) override {
    cpu::input_gradient(net_, *pool_, images, labels, loss, gradient, logits);
  }

  std::unique_ptr<VoteRun> count_votes(const VoteSettings& settings, std::vector<VoteJob> jobs,
                                       std::function<void(const VoteResult&)> on_result) override {
    require_drawable(settings.noise, "votes");  // before the program asks for its largest input
    return cpu::start_votes(*pool_, votes_.of(plan_, settings), settings, std::move(jobs),
                            std::move(on_result));
  }

  std::string describe_votes(const VoteSettings& settings) const override {
    return cpu::describe_votes(plan_, settings.mode);
  }

 private:
  void make_plan() {
    votes_.forget();
    plan_ = make_inference_plan(net_);
  }

  Network net_;
  InferencePlan plan_;
  cpu::VoteCache votes_;
  std::shared_ptr<ThreadPool> pool_;
  OptimizerState optimizer_;
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads) : pool_(std::make_shared<ThreadPool>(threads)) {}

  std::string name() const override { return "cpu"; }
  std::string describe() const override {
    const int threads = pool_->threads();
    std::string text =
        "cpu, " + std::to_string(threads) + (threads == 1 ? " thread, " : " threads, ");
    const cpu::Isa isa = cpu::active_isa();
    text += cpu::isa_name(isa);
    if (isa == cpu::Isa::baseline) text += " (no fused multiply-add in hardware: right, but slow)";
    return text;
  }
  std::unique_ptr<BackendModel> load(const Network& net) override {
    validate(net, "network");
    return std::make_unique<CpuModel>(net, pool_);
  }

 private:
  std::shared_ptr<ThreadPool> pool_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) {
  if (threads < 0 || threads > 4096)
    throw UsageError("threads: " + std::to_string(threads) + " is outside 1 … 4096 (0 = all)");
  return std::make_unique<CpuBackend>(threads == 0 ? usable_processors() : threads);
}

}  // namespace smoothcert
