#include "campaign_support.hpp"

#include <algorithm>
#include <random>

namespace smoothcert::test {

namespace {

class CountingModel final : public BackendModel {
 public:
  CountingModel(std::unique_ptr<BackendModel> inner,
                std::shared_ptr<std::atomic<std::uint64_t>> samples)
      : inner_(std::move(inner)), samples_(std::move(samples)) {}

  const NetworkSpec& spec() const override { return inner_->spec(); }
  void upload(const Network& net) override { inner_->upload(net); }
  void download(Network& net) const override { inner_->download(net); }
  void upload(const OptimizerState& state) override { inner_->upload(state); }
  void download(OptimizerState& state) const override { inner_->download(state); }
  EpochReport train_epoch(const EpochRequest& request) override {
    return inner_->train_epoch(request);
  }
  void forward(std::span<const float> images, std::span<float> logits) override {
    inner_->forward(images, logits);
  }
  void input_gradient(std::span<const float> images, std::span<const std::uint8_t> labels,
                      LossKind loss, std::span<float> gradient, std::span<float> logits) override {
    inner_->input_gradient(images, labels, loss, gradient, logits);
  }
  std::unique_ptr<VoteRun> count_votes(const VoteSettings& settings, std::vector<VoteJob> jobs,
                                       std::function<void(const VoteResult&)> on_result) override {
    for (const VoteJob& job : jobs) *samples_ += job.last - job.first;
    return inner_->count_votes(settings, std::move(jobs), std::move(on_result));
  }
  std::string describe_votes(const VoteSettings& settings) const override {
    return inner_->describe_votes(settings);
  }

 private:
  std::unique_ptr<BackendModel> inner_;
  std::shared_ptr<std::atomic<std::uint64_t>> samples_;
};

}  // namespace

CountingBackend::CountingBackend()
    : inner_(make_cpu_backend(1)), samples_(std::make_shared<std::atomic<std::uint64_t>>(0)) {}

std::unique_ptr<BackendModel> CountingBackend::load(const Network& net) {
  return std::make_unique<CountingModel>(inner_->load(net), samples_);
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
  make_cpu_backend(1)->load(network)->forward(input, logits);
  for (std::size_t i = 0; i < images; ++i) {
    const auto first = logits.begin() + static_cast<std::ptrdiff_t>(i * 3);
    data.labels.push_back(static_cast<std::uint8_t>(std::max_element(first, first + 3) - first));
  }
  data.sha256 = "toy-data";
  return data;
}

}  // namespace smoothcert::test
