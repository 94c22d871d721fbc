// Networks, images and emulator settings that the kernel tests share.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "emulated_launch.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert::simt_test {

/// Block size and fiber order to run everything under.
struct Shape {
  unsigned block_threads;
  std::uint64_t seed;
};
inline const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{{64, 0}, {64, 11}, {128, 5}};
  return all;
}
inline void use(const Shape& shape) {
  simt::emulation() = {};
  simt::emulation().block_threads = shape.block_threads;
  simt::emulation().seed = shape.seed;
}

/// Runs `body` as a mutation case asks for it; see mutation.hpp.
template <class Body>
bool run_mutated(const std::string& without, std::uint64_t seed, std::vector<std::string>* barriers,
                 Body&& body) {
  simt::emulation() = {};
  simt::emulation().seed = seed;
  simt::emulation().without_barrier = without;
  const bool right = body();
  if (barriers) {
    barriers->assign(simt::emulation().barriers.begin(), simt::emulation().barriers.end());
  }
  simt::emulation() = {};
  return right;
}

inline std::vector<float> random_floats(std::size_t n, float low, float high, unsigned seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(n);
  for (float& v : values) v = uniform(rng);
  return values;
}

inline std::vector<std::uint8_t> random_bytes(std::size_t n, unsigned seed, unsigned below = 256) {
  std::mt19937 rng(seed);
  std::vector<std::uint8_t> values(n);
  for (auto& v : values) v = static_cast<std::uint8_t>(rng() % below);
  return values;
}

/// Every kind of layer, padding, a stride, a residual connection; 2 × 7 × 6 inputs, 3 classes.
inline Network small_network(unsigned seed = 1) {
  NetworkSpec spec;
  spec.name = "small";
  spec.input = {2, 7, 6};
  spec.classes = 3;
  const auto layer = [&](LayerKind kind, std::string name, std::vector<int> inputs) -> Layer& {
    Layer l;
    l.kind = kind;
    l.name = std::move(name);
    l.inputs = std::move(inputs);
    spec.layers.push_back(l);
    return spec.layers.back();
  };
  Layer* l = &layer(LayerKind::normalize, "normalize", {-1});
  l->mean = {0.4f, 0.5f};
  l->stddev = {0.3f, 0.25f};
  l = &layer(LayerKind::conv2d, "conv1", {0});
  l->out_channels = 3, l->kernel = 3, l->padding = 1;
  layer(LayerKind::batchnorm, "bn1", {1});
  layer(LayerKind::relu, "relu1", {2});
  l = &layer(LayerKind::conv2d, "conv2", {3});
  l->out_channels = 3, l->kernel = 3, l->padding = 1, l->bias = false;
  layer(LayerKind::add, "add", {3, 4});
  l = &layer(LayerKind::maxpool, "pool", {5});
  l->kernel = 3, l->stride = 2, l->padding = 1;
  l = &layer(LayerKind::conv2d, "conv3", {6});
  l->out_channels = 4, l->kernel = 2, l->stride = 1;
  layer(LayerKind::relu, "relu3", {7});
  layer(LayerKind::global_avg_pool, "gap", {8});
  layer(LayerKind::flatten, "flatten", {9});
  l = &layer(LayerKind::linear, "fc", {10});
  l->out_channels = 3;
  infer_shapes(spec);
  Network net = initialise(spec, seed);
  for (auto& [name, tensor] : net.tensors) {
    const bool scale = name.ends_with("running_var") || name == "bn1.weight";
    if (name.starts_with("bn1")) {
      tensor.data = random_floats(tensor.data.size(), scale ? 0.5f : -0.5f, scale ? 2.0f : 0.5f,
                                  seed + static_cast<unsigned>(name.size()));
    }
  }
  return net;
}

}  // namespace smoothcert::simt_test
