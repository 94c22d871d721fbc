// A network laid out for training on a GPU: where activations, gradients, parameters and statistics
// live, and what the backward pass has to do.
#include "gpu/train_plan.hpp"

#include <algorithm>

#include "gpu/slices.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
namespace {

/// Values start on 128-byte lines whatever the number of images, so that vector loads are aligned.
std::size_t padded(std::size_t floats) { return (floats + 31) / 32 * 32; }

class Planner {
 public:
  explicit Planner(const NetworkSpec& spec) : spec_(spec) {}

  TrainPlan run() {
    plan_.input = spec_.input;
    plan_.classes = spec_.classes;
    plan_.values = padded(spec_.input.size());
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) place(i);
    plan_backward();
    join_layers();
    return std::move(plan_);
  }

 private:
  void place(std::size_t index) {
    const Layer& layer = spec_.layers[index];
    TrainLayer t;
    t.kind = layer.kind;
    t.name = layer.name;
    t.in = layer.inputs.at(0);
    t.in2 = layer.inputs.size() > 1 ? layer.inputs[1] : -1;
    t.in_shape = t.in < 0 ? spec_.input : spec_.layers[static_cast<std::size_t>(t.in)].out;
    t.out_shape = layer.out;
    t.kernel = layer.kernel;
    t.stride = layer.stride;
    t.padding = layer.padding;
    t.eps = static_cast<float>(layer.eps);
    t.momentum = static_cast<float>(layer.momentum);
    if (layer.kind == LayerKind::flatten) {
      t.value = plan_.value_of(t.in);
    } else {
      t.value = plan_.values;
      plan_.values += padded(layer.out.size());
    }
    const auto out = static_cast<std::size_t>(layer.out_channels);
    const auto channels = static_cast<std::size_t>(t.in_shape.channels);
    const auto window = static_cast<std::size_t>(layer.kernel) * layer.kernel;
    switch (layer.kind) {
      case LayerKind::conv2d:
      case LayerKind::linear:
        t.has_bias = layer.bias;
        t.weight = parameter(
            layer.name + ".weight",
            out * (layer.kind == LayerKind::conv2d ? channels * window : t.in_shape.size()));
        if (layer.bias) t.bias = parameter(layer.name + ".bias", out);
        break;
      case LayerKind::batchnorm:
        t.weight = parameter(layer.name + ".weight", channels);
        t.bias = parameter(layer.name + ".bias", channels);
        t.statistics = statistic(layer.name + ".running_mean", channels);
        statistic(layer.name + ".running_var", channels);
        t.saved = plan_.saved;
        plan_.saved += 2 * channels;
        break;
      case LayerKind::normalize:
        t.constants = plan_.constants.size();
        for (const float s : layer.stddev) {
          plan_.constants.push_back(static_cast<float>(1.0 / double{s}));
        }
        for (std::size_t c = 0; c < channels; ++c) {
          plan_.constants.push_back(static_cast<float>(-double{layer.mean[c]} / layer.stddev[c]));
        }
        break;
      case LayerKind::maxpool:
        t.pool = plan_.pools;
        plan_.pools += layer.out.size();
        break;
      case LayerKind::relu:
      case LayerKind::flatten:
      case LayerKind::add:
      case LayerKind::global_avg_pool:
        break;
    }
    plan_.layers.push_back(std::move(t));
  }

  /// On 16 bytes, which the libraries' faster kernels need.
  std::size_t parameter(const std::string& name, std::size_t count) {
    const std::size_t offset = plan_.parameters;
    plan_.tensors.push_back({name, offset, count, true});
    plan_.parameters += (count + 3) / 4 * 4;
    return offset;
  }
  std::size_t statistic(const std::string& name, std::size_t count) {
    const std::size_t offset = plan_.statistics;
    plan_.tensors.push_back({name, offset, count, false});
    plan_.statistics += count;
    return offset;
  }

  /// Index + 1 of the layer whose memory this value lives in; 0 is the image.
  std::size_t owner(int value) const {
    while (value >= 0 && plan_.layers[static_cast<std::size_t>(value)].kind == LayerKind::flatten) {
      value = plan_.layers[static_cast<std::size_t>(value)].in;
    }
    return static_cast<std::size_t>(value + 1);
  }

  void plan_backward() {
    const std::size_t count = plan_.layers.size();
    std::vector<bool> trains(count + 1), written(count + 1);
    for (std::size_t i = 0; i < count; ++i) {
      TrainLayer& t = plan_.layers[i];
      t.in_trains = trains[owner(t.in)];
      t.in2_trains = t.kind == LayerKind::add && trains[owner(t.in2)];
      const bool own = t.kind == LayerKind::conv2d || t.kind == LayerKind::linear ||
                       t.kind == LayerKind::batchnorm;
      const std::size_t at = owner(static_cast<int>(i));
      trains[at] = trains[at] || own || t.in_trains || t.in2_trains;
    }
    if (count > 0) written[owner(plan_.logits())] = true;
    for (std::size_t i = count; i-- > 0;) {
      TrainLayer& t = plan_.layers[i];
      t.reached = written[owner(static_cast<int>(i))];
      if (!t.reached || t.kind == LayerKind::flatten) continue;
      t.adds_to_in = written[owner(t.in)];
      written[owner(t.in)] = true;
      if (t.kind == LayerKind::add) {
        t.adds_to_in2 = written[owner(t.in2)];
        written[owner(t.in2)] = true;
      }
    }
  }

  /// The one layer that reads the value of this one (≥ 0); −1 for none or several.
  int only_reader(int value) const {
    int reader = -1, readers = 0;
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      const TrainLayer& t = plan_.layers[i];
      const int reads = (t.in == value) + (t.in2 == value);
      if (reads > 0) reader = static_cast<int>(i);
      readers += reads;
    }
    return readers == 1 ? reader : -1;
  }

  void join_layers() {
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      TrainLayer& relu = plan_.layers[i];
      if (relu.kind != LayerKind::relu || relu.in < 0) continue;
      TrainLayer& before = plan_.layers[static_cast<std::size_t>(relu.in)];
      // What flatten gives lies where its own input does, which others may read.
      if (before.kind == LayerKind::flatten || only_reader(relu.in) != static_cast<int>(i))
        continue;
      before.bias_in_relu = before.kind == LayerKind::conv2d && before.has_bias;
      const int reader = only_reader(static_cast<int>(i));
      if (reader < 0) continue;
      TrainLayer& after = plan_.layers[static_cast<std::size_t>(reader)];
      if (after.kind == LayerKind::maxpool) relu.pooled_by = reader;
      relu.gradient_by_next = after.through_relu =
          after.kind == LayerKind::maxpool || after.kind == LayerKind::batchnorm;
    }
  }

  const NetworkSpec& spec_;
  TrainPlan plan_;
};

}  // namespace

TrainPlan make_train_plan(const NetworkSpec& spec) { return Planner(spec).run(); }

ConvShape conv_shape(const TrainLayer& layer, int images) {
  if (layer.kind == LayerKind::linear) {
    return {
        images, static_cast<int>(layer.in_shape.size()), 1, 1, layer.out_shape.channels, 1, 1, 1, 1,
        0};
  }
  return {images,
          layer.in_shape.channels,
          layer.in_shape.height,
          layer.in_shape.width,
          layer.out_shape.channels,
          layer.out_shape.height,
          layer.out_shape.width,
          layer.kernel,
          layer.stride,
          layer.padding};
}

std::size_t scratch_floats(const ConvShape& s) {
  const auto values = static_cast<std::uint64_t>(s.images) *
                      static_cast<std::uint64_t>(s.out_height) *
                      static_cast<std::uint64_t>(s.out_width);
  const auto out = static_cast<std::size_t>(s.out_channels);
  const auto weights =
      out * static_cast<std::size_t>(s.in_channels) * static_cast<std::size_t>(s.kernel * s.kernel);
  return slice_count(values) * (weights + out);
}

std::size_t scratch_floats(const TrainPlan& plan, int images) {
  std::size_t most = 0;
  for (const TrainLayer& layer : plan.layers) {
    if (layer.kind == LayerKind::conv2d) {
      most = std::max(most, scratch_floats(conv_shape(layer, images)));
    } else if (layer.kind == LayerKind::linear) {
      most = std::max(most, slice_count(static_cast<std::uint64_t>(images)) *
                                static_cast<std::size_t>(layer.out_shape.channels));
    } else if (layer.kind == LayerKind::batchnorm) {
      const auto values = static_cast<std::uint64_t>(images) *
                          static_cast<std::uint64_t>(layer.in_shape.height) *
                          static_cast<std::uint64_t>(layer.in_shape.width);
      most = std::max(most,
                      2 * slice_count(values) * static_cast<std::size_t>(layer.in_shape.channels));
    }
  }
  return most;
}

std::vector<float> gather_tensors(const TrainPlan& plan, const Network& net, bool trainable) {
  std::vector<float> flat(trainable ? plan.parameters : plan.statistics);
  for (const TrainTensor& t : plan.tensors) {
    if (t.trainable != trainable) continue;
    const auto found = net.tensors.find(t.name);
    if (found == net.tensors.end() || found->second.data.size() != t.count) {
      throw Error("network: tensor '" + t.name + "' is missing or has the wrong size");
    }
    std::copy(found->second.data.begin(), found->second.data.end(),
              flat.begin() + static_cast<std::ptrdiff_t>(t.offset));
  }
  return flat;
}

void scatter_tensors(const TrainPlan& plan, const std::vector<float>& flat, bool trainable,
                     Network& net) {
  for (const TrainTensor& t : plan.tensors) {
    if (t.trainable != trainable) continue;
    const auto first = flat.begin() + static_cast<std::ptrdiff_t>(t.offset);
    net.tensors.at(t.name).data.assign(first, first + static_cast<std::ptrdiff_t>(t.count));
  }
}

}  // namespace smoothcert::gpu
