// Before the first fast votes on a GPU: one tile whose votes are known beforehand.
#include "cuda/votes/self_test.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert::gpu {
namespace {

constexpr float kThreshold = 0.25f;  // of the mean brightness, which is 1 without noise
constexpr std::size_t kBright = 1, kBlack = 0;

/// A network of the given architecture, convnn or lenet, that answers whether its image is bright:
/// every layer passes on means of its first channel, the last one compares their mean with a
/// threshold.
Network brightness_network(const std::string& architecture) {
  Network net = initialise(builtin_network(architecture), 1);
  std::vector<std::string> layers = {"conv1", "conv2", "fc1"};
  if (net.tensors.count("fc2.weight") > 0) layers.emplace_back("fc2");
  std::size_t channels = 1;  // of the last convolution; the first linear layer sees them in turn
  for (const std::string& layer : layers) {
    Tensor& weights = net.tensors.at(layer + ".weight");
    Tensor& bias = net.tensors.at(layer + ".bias");
    const std::size_t outputs = bias.data.size(), inputs = weights.data.size() / outputs;
    const bool conv = weights.shape.size() == 4, last = layer == layers.back();
    const std::size_t of_first =
        inputs / (conv ? static_cast<std::size_t>(weights.shape[1]) : channels);
    channels = conv ? outputs : 1;
    for (std::size_t o = 0; o < outputs; ++o) {
      const float share = last && o != kBright ? 1e-3f : 1.0f;
      for (std::size_t i = 0; i < inputs; ++i)
        weights.data[o * inputs + i] = i < of_first ? share / static_cast<float>(of_first) : 0.0f;
      bias.data[o] = !last || o == kBright ? 0.0f : o == kBlack ? kThreshold : -1.0f;
    }
  }
  return net;
}

}  // namespace

void self_test(int device, const VotePath& path, const VoteSettings& settings) {
  if (path.probe.empty()) return;
  const Network net = brightness_network(path.probe);
  const DevicePlans plans{make_device_plan(device, make_inference_plan(net))};
  const VotePath same = choose_vote_path(plans, settings);
  const std::vector<std::uint8_t> bright(net.spec.input.size(), 255);
  constexpr std::uint64_t kSamples = 64;  // a tile of the widest kernel
  VoteResult votes;
  auto scheduler = std::make_unique<VoteScheduler>(
      std::vector<VoteJob>{{0, bright.data(), Purpose::check_rows, 0, kSamples}}, net.spec.classes,
      [&](const VoteResult& result) { votes = result; });
  std::vector<std::unique_ptr<VoteDevice>> devices;
  devices.push_back(same.make(0));
  start_vote_run(std::move(scheduler), keep(std::move(devices)), same.batch, same.least, {})
      ->wait();
  if (votes.counts.at(kBright) != kSamples)
    throw Error("the self-test of GPU " + std::to_string(device) + " failed: on the path '" +
                same.describe() + "' it sees a bright image as bright in " +
                std::to_string(votes.counts.at(kBright)) + " of " + std::to_string(kSamples) +
                " samples; its fast votes cannot be trusted, --mode exact does not need them");
}

}  // namespace smoothcert::gpu
