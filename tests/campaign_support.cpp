// A backend of the tests that counts what it is asked for, with a toy network and its data.
#include "campaign_support.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>

#include "cpu/forward.hpp"
#include "cpu/votes.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert::test {

namespace {

class CountingModel final : public BackendModel {
 public:
  CountingModel(const Network& network, std::shared_ptr<std::atomic<std::uint64_t>> samples)
      : spec_(network.spec), plan_(make_inference_plan(network)), samples_(std::move(samples)) {}

  const NetworkSpec& spec() const override { return spec_; }
  void upload(const Network&) override { unsupported(); }
  void download(Network&) const override { unsupported(); }
  void upload(const OptimizerState&) override { unsupported(); }
  void download(OptimizerState&) const override { unsupported(); }
  EpochReport train_epoch(const EpochRequest&) override { unsupported(); }
  void input_gradient(std::span<const float>, std::span<const Label>, LossKind, std::span<float>,
                      std::span<float>) override {
    unsupported();
  }
  void forward(std::span<const float> images, std::span<float> logits) override {
    cpu::forward(plan_, pool_, images, logits);
  }
  std::unique_ptr<VoteRun> count_votes(const VoteSettings& settings, std::vector<VoteJob> jobs,
                                       std::function<void(const VoteResult&)> on_result) override {
    for (const VoteJob& job : jobs) *samples_ += job.last - job.first;
    return cpu::start_votes(plan_, pool_, settings, std::move(jobs), std::move(on_result));
  }
  std::string describe_votes(const VoteSettings&) const override { return "cpu exact test"; }

 private:
  [[noreturn]] static void unsupported() { throw std::logic_error("not for this test"); }
  NetworkSpec spec_;
  InferencePlan plan_;
  ThreadPool pool_{1};
  std::shared_ptr<std::atomic<std::uint64_t>> samples_;
};

}  // namespace

std::unique_ptr<BackendModel> CountingBackend::load(const Network& net) {
  return std::make_unique<CountingModel>(net, samples_);
}

Network toy_network(std::uint64_t seed) {
  NetworkSpec spec;
  spec.name = "toy";
  spec.input = {1, 4, 4};
  spec.classes = 3;
  Layer flatten;
  flatten.kind = LayerKind::flatten;
  flatten.name = "flatten";
  flatten.inputs = {-1};
  Layer linear;
  linear.kind = LayerKind::linear;
  linear.name = "fc1";
  linear.inputs = {0};
  linear.out_channels = 3;
  spec.layers = {flatten, linear};
  infer_shapes(spec);
  Network network = initialise(spec, seed);
  network.record.regime = "smoothing";
  network.record.sigma = 0.25;
  return network;
}

Dataset toy_dataset(const Network& network, std::size_t images) {
  Dataset data;
  data.name = "toy";
  data.split = "test";
  data.shape = {1, 4, 4};
  data.classes = 3;
  std::mt19937 random(7);
  for (std::size_t i = 0; i < images * 16; ++i) {
    data.pixels.push_back(static_cast<std::uint8_t>(random() % 256));
  }
  std::vector<float> input, logits(images * 3);
  for (const std::uint8_t v : data.pixels) input.push_back(static_cast<float>(v) / 255.0f);
  CountingBackend().load(network)->forward(input, logits);
  for (std::size_t i = 0; i < images; ++i) {
    const auto first = logits.begin() + static_cast<std::ptrdiff_t>(i * 3);
    data.labels.push_back(static_cast<Label>(std::max_element(first, first + 3) - first));
  }
  data.sha256 = "toy-data";
  return data;
}

}  // namespace smoothcert::test
