// What the field's checkpoints leave unsaid: the network that an `arch` entry names, and the
// normalisation that its codes put in front of a data set's images.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "smoothcert/network_spec.hpp"

namespace smoothcert {

/// The built-in network of `arch` ("cifar_resnet110" is resnet110, "cifar100_resnet110" the same
/// with 100 classes); nothing where it is not known.
std::optional<NetworkSpec> network_of_arch(const std::string& arch);
/// The names that network_of_arch() knows.
std::vector<std::string> known_archs();

/// Per channel, after the noise; empty means none (MNIST).
struct KnownNormalization {
  std::vector<float> mean, stddev;
  std::string whose;  ///< "CIFAR-10"
};
/// What locuslab/smoothing and the codes that follow it use for a data set (by its name here) or an
/// `arch`; nothing where neither says.
std::optional<KnownNormalization> normalization_of_dataset(const std::string& dataset);
std::optional<KnownNormalization> normalization_of_arch(const std::string& arch);

/// The same network with another number of classes; its last layer must be a linear one.
NetworkSpec with_classes(NetworkSpec spec, int classes);

}  // namespace smoothcert
