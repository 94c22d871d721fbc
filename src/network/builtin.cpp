// The built-in descriptions: small networks of MNIST and CIFAR, and those of the literature with
// the names that its checkpoints have.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "smoothcert/error.hpp"
#include "smoothcert/network_spec.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {
namespace {

Layer conv(std::string name, int out_channels, int kernel, int padding = 0, int stride = 1) {
  Layer layer{.kind = LayerKind::conv2d, .name = std::move(name)};
  layer.out_channels = out_channels;
  layer.kernel = kernel;
  layer.padding = padding;
  layer.stride = stride;
  return layer;
}
Layer pool(int kernel) {
  Layer layer{.kind = LayerKind::maxpool};
  layer.kernel = layer.stride = kernel;
  return layer;
}
Layer linear(std::string name, int out_features) {
  Layer layer{.kind = LayerKind::linear, .name = std::move(name)};
  layer.out_channels = out_features;
  return layer;
}
Layer batchnorm(std::string name) {
  return {.kind = LayerKind::batchnorm, .name = std::move(name)};
}
Layer relu() { return {.kind = LayerKind::relu}; }
Layer flatten() { return {.kind = LayerKind::flatten}; }

NetworkSpec chain(std::string name, ImageShape input, int classes, std::vector<Layer> layers) {
  NetworkSpec spec{
      .name = std::move(name), .input = input, .classes = classes, .layers = std::move(layers)};
  for (std::size_t i = 0; i < spec.layers.size(); ++i)
    spec.layers[i].inputs = {static_cast<int>(i) - 1};
  infer_shapes(spec);
  return spec;
}

/// A graph, layer by layer. Each call returns the index of what it added; −1 is the image.
class Graph {
 public:
  Graph(std::string name, ImageShape input, int classes) {
    spec_.name = std::move(name);
    spec_.input = input;
    spec_.classes = classes;
  }

  int add(Layer layer, int in) {
    layer.inputs = {in};
    spec_.layers.push_back(std::move(layer));
    return last();
  }
  int conv_bn(const std::string& conv_name, const std::string& bn_name, int in, int channels,
              int kernel, int padding, int stride) {
    return add(batchnorm(bn_name), plain_conv(conv_name, in, channels, kernel, padding, stride));
  }
  int plain_conv(const std::string& name, int in, int channels, int kernel, int padding,
                 int stride) {
    Layer layer = conv(name, channels, kernel, padding, stride);
    layer.bias = false;
    return add(std::move(layer), in);
  }
  int bn_relu(const std::string& name, int in) { return add(relu(), add(batchnorm(name), in)); }
  int sum(int branch, int shortcut) { return two(LayerKind::add, branch, shortcut); }
  int concat(int a, int b) { return two(LayerKind::concat, a, b); }
  int max_pool(int in, int kernel, int stride, int padding) {
    Layer layer = pool(kernel);
    layer.stride = stride;
    layer.padding = padding;
    return add(std::move(layer), in);
  }
  int mean_pool(int in, int kernel) {
    Layer layer = pool(kernel);
    layer.kind = LayerKind::avgpool;
    return add(std::move(layer), in);
  }
  /// The mean of each channel, and a linear layer on them.
  NetworkSpec classify(const std::string& name, int in) && {
    const int mean = add(flatten(), add({.kind = LayerKind::global_avg_pool}, in));
    add(linear(name, spec_.classes), mean);
    infer_shapes(spec_);
    return std::move(spec_);
  }

 private:
  int last() const { return static_cast<int>(spec_.layers.size()) - 1; }
  int two(LayerKind kind, int a, int b) {
    spec_.layers.push_back({.kind = kind});
    spec_.layers.back().inputs = {a, b};
    return last();
  }

  NetworkSpec spec_;
};

/// He et al. 2016 for CIFAR, depth 6n + 2, with projections (option B): `cifar_resnet…` of Cohen et
/// al. and of all codes that follow it.
NetworkSpec cifar_resnet(const std::string& name, int depth) {
  Graph g(name, {3, 32, 32}, 10);
  int x = g.add(relu(), g.conv_bn("conv1", "bn1", -1, 16, 3, 1, 1));
  int channels = 16;
  for (int stage = 1; stage <= 3; ++stage) {
    const int width = 8 << stage;
    for (int block = 0; block < (depth - 2) / 6; ++block) {
      const std::string at = "layer" + std::to_string(stage) + "." + std::to_string(block) + ".";
      const int stride = stage > 1 && block == 0 ? 2 : 1;
      int branch = g.add(relu(), g.conv_bn(at + "conv1", at + "bn1", x, width, 3, 1, stride));
      branch = g.conv_bn(at + "conv2", at + "bn2", branch, width, 3, 1, 1);
      if (channels != width)
        x = g.conv_bn(at + "downsample.0", at + "downsample.1", x, width, 1, 0, stride);
      channels = width;
      x = g.add(relu(), g.sum(branch, x));
    }
  }
  return std::move(g).classify("fc", x);
}

/// torchvision's ResNets for ImageNet: BasicBlock, or Bottleneck with the stride on its 3×3
/// convolution ("v1.5").
NetworkSpec imagenet_resnet(const std::string& name, bool bottleneck, const int (&blocks)[4]) {
  Graph g(name, {3, 224, 224}, 1000);
  int x = g.add(relu(), g.conv_bn("conv1", "bn1", -1, 64, 7, 3, 2));
  x = g.max_pool(x, 3, 2, 1);
  int channels = 64;
  for (int stage = 1; stage <= 4; ++stage) {
    const int width = 32 << stage, out = bottleneck ? 4 * width : width;
    for (int block = 0; block < blocks[stage - 1]; ++block) {
      const std::string at = "layer" + std::to_string(stage) + "." + std::to_string(block) + ".";
      const int stride = stage > 1 && block == 0 ? 2 : 1;
      int branch = 0;
      if (bottleneck) {
        branch = g.add(relu(), g.conv_bn(at + "conv1", at + "bn1", x, width, 1, 0, 1));
        branch = g.add(relu(), g.conv_bn(at + "conv2", at + "bn2", branch, width, 3, 1, stride));
        branch = g.conv_bn(at + "conv3", at + "bn3", branch, out, 1, 0, 1);
      } else {
        branch = g.add(relu(), g.conv_bn(at + "conv1", at + "bn1", x, width, 3, 1, stride));
        branch = g.conv_bn(at + "conv2", at + "bn2", branch, width, 3, 1, 1);
      }
      if (channels != out || stride != 1)
        x = g.conv_bn(at + "downsample.0", at + "downsample.1", x, out, 1, 0, stride);
      channels = out;
      x = g.add(relu(), g.sum(branch, x));
    }
  }
  return std::move(g).classify("fc", x);
}

/// Zagoruyko & Komodakis 2016, depth 6n + 4, with the names of the PyTorch port that the robustness
/// codes share (block1.layer.0.convShortcut …).
NetworkSpec wide_resnet(const std::string& name, int depth, int factor) {
  Graph g(name, {3, 32, 32}, 10);
  int x = g.plain_conv("conv1", -1, 16, 3, 1, 1);
  int channels = 16;
  for (int stage = 1; stage <= 3; ++stage) {
    const int width = (8 << stage) * factor;
    for (int block = 0; block < (depth - 4) / 6; ++block) {
      const std::string at =
          "block" + std::to_string(stage) + ".layer." + std::to_string(block) + ".";
      const int stride = stage > 1 && block == 0 ? 2 : 1;
      const int before = g.bn_relu(at + "bn1", x);
      int branch = g.plain_conv(at + "conv1", before, width, 3, 1, stride);
      branch = g.plain_conv(at + "conv2", g.bn_relu(at + "bn2", branch), width, 3, 1, 1);
      // Where the width changes, the shortcut starts behind the first BatchNorm and ReLU.
      const int shortcut =
          channels == width ? x : g.plain_conv(at + "convShortcut", before, width, 1, 0, stride);
      channels = width;
      x = g.sum(shortcut, branch);
    }
  }
  return std::move(g).classify("fc", g.bn_relu("bn1", x));
}

/// Huang et al. 2017 with bottlenecks and without compression, three blocks of six: `densenet40` of
/// Jeong & Shin's consistency code (`cifar_densenet40`), whose transitions are a pooling alone.
NetworkSpec densenet40(const std::string& name) {
  constexpr int kGrowth = 12;
  Graph g(name, {3, 32, 32}, 10);
  int x = g.plain_conv("features.conv0", -1, 2 * kGrowth, 3, 1, 1);
  for (int block = 1; block <= 3; ++block) {
    for (int layer = 1; layer <= 6; ++layer) {
      const std::string at =
          "features.block" + std::to_string(block) + ".layer" + std::to_string(layer) + ".";
      int branch =
          g.plain_conv(at + "brc_1.conv", g.bn_relu(at + "brc_1.norm", x), 4 * kGrowth, 1, 0, 1);
      branch =
          g.plain_conv(at + "brc_2.conv", g.bn_relu(at + "brc_2.norm", branch), kGrowth, 3, 1, 1);
      x = g.concat(x, branch);
    }
    if (block < 3) x = g.mean_pool(x, 2);
  }
  return std::move(g).classify("classifier", g.bn_relu("features.norm_last", x));
}

/// Simonyan & Zisserman 2015, configuration D with BatchNorm, as used on CIFAR: torchvision's
/// `features`, and one linear layer.
NetworkSpec vgg16_bn(const std::string& name) {
  Graph g(name, {3, 32, 32}, 10);
  int x = -1, child = 0;
  for (const int width :
       {64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0}) {
    if (width == 0) {
      x = g.max_pool(x, 2, 2, 0);
      ++child;
      continue;
    }
    x = g.add(conv("features." + std::to_string(child), width, 3, 1), x);
    x = g.bn_relu("features." + std::to_string(child + 1), x);
    child += 3;
  }
  return std::move(g).classify("classifier", x);
}

}  // namespace

std::vector<std::string> small_network_names() { return {"convnn", "lenet", "mlp", "cifar-cnn"}; }

std::vector<std::string> builtin_network_names() {
  std::vector<std::string> names = small_network_names();
  for (const char* name :
       {"resnet20", "resnet110", "resnet18", "resnet50", "wrn-28-10", "densenet-40", "vgg16-bn"})
    names.emplace_back(name);
  return names;
}

NetworkSpec builtin_network(const std::string& name) {
  if (name == "convnn")  // the study's network
    return chain(name, {1, 28, 28}, 10,
                 {conv("conv1", 5, 5), relu(), batchnorm("bn1"), pool(2), conv("conv2", 5, 5),
                  relu(), pool(2), flatten(), linear("fc1", 10)});
  if (name == "lenet")  // the literature's MNIST network
    return chain(name, {1, 28, 28}, 10,
                 {conv("conv1", 20, 5), relu(), pool(2), conv("conv2", 50, 5), relu(), pool(2),
                  flatten(), linear("fc1", 500), relu(), linear("fc2", 10)});
  if (name == "mlp")
    return chain(
        name, {1, 28, 28}, 10,
        {flatten(), linear("fc1", 256), relu(), linear("fc2", 128), relu(), linear("fc3", 10)});
  if (name == "cifar-cnn")
    return chain(name, {3, 32, 32}, 10,
                 {conv("conv1", 32, 3, 1), batchnorm("bn1"), relu(), conv("conv2", 32, 3, 1),
                  batchnorm("bn2"), relu(), pool(2), conv("conv3", 64, 3, 1), batchnorm("bn3"),
                  relu(), conv("conv4", 64, 3, 1), batchnorm("bn4"), relu(), pool(2), flatten(),
                  linear("fc1", 256), relu(), linear("fc2", 10)});
  if (name == "resnet20") return cifar_resnet(name, 20);
  if (name == "resnet110") return cifar_resnet(name, 110);
  if (name == "resnet18") return imagenet_resnet(name, false, {2, 2, 2, 2});
  if (name == "resnet50") return imagenet_resnet(name, true, {3, 4, 6, 3});
  if (name == "wrn-28-10") return wide_resnet(name, 28, 10);
  if (name == "densenet-40") return densenet40(name);
  if (name == "vgg16-bn") return vgg16_bn(name);
  throw UsageError(unknown_name_message("network", name, builtin_network_names()));
}

}  // namespace smoothcert
