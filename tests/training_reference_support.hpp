// Training as plainly as it can be written, in double: the oracle of the CPU and GPU trainers.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/attack_spec.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert {

/// A network's tensors in double, evaluated image by image over a whole batch.
struct ReferenceTrainer {
  explicit ReferenceTrainer(const Network& net);

  /// Logits, image after image. In training mode BatchNorm uses the batch and, with `update`,
  /// moves the running statistics as PyTorch does.
  std::vector<double> logits(const std::vector<std::vector<double>>& images, ForwardMode mode,
                             bool update = false);
  /// Mean (cross_entropy) or sum over the batch.
  double loss(const std::vector<std::vector<double>>& images, std::span<const Label> labels,
              ForwardMode mode, LossKind kind, bool mean);

  const NetworkSpec spec;
  std::map<std::string, std::vector<double>> tensors;
};

/// Random images and labels that fit a network.
Dataset random_dataset(const NetworkSpec& spec, std::size_t count, std::uint32_t seed);

/// Pixels as the network sees them.
std::vector<std::vector<double>> pixels_of(const Dataset& data,
                                           std::span<const std::uint32_t> indices);

}  // namespace smoothcert
