// What the field's checkpoints leave unsaid: the network that an `arch` entry names, and the
// normalisation that its codes put in front of a data set's images.
#include "checkpoint/known_models.hpp"

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

struct KnownArch {
  const char* arch;
  const char* network;
  int classes;
  const char* dataset;  ///< whose normalisation; "" where it depends
};

// `arch` entries of locuslab/smoothing, SmoothAdv, consistency and CAT-RS, and of torchvision's
// training script.
constexpr KnownArch kArchs[] = {
    {"cifar_resnet20", "resnet20", 10, "cifar10"},
    {"cifar_resnet110", "resnet110", 10, "cifar10"},
    {"cifar100_resnet20", "resnet20", 100, "cifar100"},
    {"cifar100_resnet110", "resnet110", 100, "cifar100"},
    {"cifar_densenet40", "densenet-40", 10, "cifar10"},
    {"imagenet32_resnet110", "resnet110", 1000, ""},
    {"resnet18", "resnet18", 1000, "imagenet"},
    {"resnet50", "resnet50", 1000, "imagenet"},
    {"lenet", "lenet", 10, "mnist"},
};

const KnownArch* find(const std::string& arch) {
  for (const KnownArch& known : kArchs)
    if (known.arch == arch) return &known;
  return nullptr;
}

}  // namespace

std::optional<NetworkSpec> network_of_arch(const std::string& arch) {
  const KnownArch* known = find(arch);
  if (known == nullptr) return std::nullopt;
  return with_classes(builtin_network(known->network), known->classes);
}

std::vector<std::string> known_archs() {
  std::vector<std::string> names;
  for (const KnownArch& known : kArchs) names.emplace_back(known.arch);
  return names;
}

std::optional<KnownNormalization> normalization_of_dataset(const std::string& dataset) {
  if (dataset == "cifar10")
    return KnownNormalization{{0.4914f, 0.4822f, 0.4465f}, {0.2023f, 0.1994f, 0.2010f}, "CIFAR-10"};
  if (dataset == "cifar100")
    return KnownNormalization{
        {0.5071f, 0.4867f, 0.4408f}, {0.2675f, 0.2565f, 0.2761f}, "CIFAR-100"};
  if (dataset == "imagenet")
    return KnownNormalization{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, "ImageNet"};
  if (dataset == "mnist" || dataset == "fashion-mnist") return KnownNormalization{{}, {}, "MNIST"};
  return std::nullopt;
}

std::optional<KnownNormalization> normalization_of_arch(const std::string& arch) {
  const KnownArch* known = find(arch);
  if (known == nullptr) return std::nullopt;
  return normalization_of_dataset(known->dataset);
}

NetworkSpec with_classes(NetworkSpec spec, int classes) {
  if (spec.classes == classes) return spec;
  if (spec.layers.empty() || spec.layers.back().kind != LayerKind::linear)
    throw UsageError("network '" + spec.name + "' does not end in a linear layer");
  spec.classes = spec.layers.back().out_channels = classes;
  infer_shapes(spec);
  return spec;
}

}  // namespace smoothcert
