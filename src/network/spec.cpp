// Shapes of the graph, and what of a layer follows from them.
#include <algorithm>

#include "network/lowering.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert {
namespace {

// Nothing this project certifies comes near these; they keep sizes from overflowing on bad input.
constexpr int kMaxExtent = 65536;
constexpr std::size_t kMaxActivation = std::size_t{1} << 28;

std::string where(const NetworkSpec& spec, std::size_t index) {
  const Layer& layer = spec.layers[index];
  return "network '" + spec.name + "', layer " + std::to_string(index + 1) +
         (layer.name.empty() ? std::string() : " '" + layer.name + "'");
}

void require(bool ok, const NetworkSpec& spec, std::size_t index, const std::string& problem) {
  if (!ok) throw UsageError(where(spec, index) + ": " + problem);
}

std::string text(const ActivationShape& s) {
  return std::to_string(s.channels) + "×" + std::to_string(s.height) + "×" +
         std::to_string(s.width);
}

std::string text(int a, int b) { return std::to_string(a) + "×" + std::to_string(b); }

/// "needs 1 input", "needs two inputs or more".
struct Arity {
  std::size_t least = 1, most = 1;
};
Arity arity_of(LayerKind kind) {
  switch (kind) {
    case LayerKind::constant:
      return {0, 0};
    case LayerKind::add:
    case LayerKind::sub:
    case LayerKind::mul:
      return {2, 2};
    case LayerKind::concat:
      return {2, 4096};
    case LayerKind::conv2d:
    case LayerKind::relu:
    case LayerKind::batchnorm:
    case LayerKind::maxpool:
    case LayerKind::flatten:
    case LayerKind::linear:
    case LayerKind::normalize:
    case LayerKind::global_avg_pool:
    case LayerKind::avgpool:
    case LayerKind::adaptive_avgpool:
    case LayerKind::adaptive_maxpool:
    case LayerKind::leaky_relu:
    case LayerKind::relu6:
    case LayerKind::prelu:
    case LayerKind::elu:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::gelu:
    case LayerKind::hardswish:
    case LayerKind::softmax:
    case LayerKind::groupnorm:
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
    case LayerKind::reshape:
    case LayerKind::identity:
    case LayerKind::dropout:
      break;
  }
  return {};
}

bool needs_name(const Layer& layer) {
  switch (layer.kind) {
    case LayerKind::conv2d:
    case LayerKind::linear:
    case LayerKind::batchnorm:
    case LayerKind::prelu:
    case LayerKind::constant:
      return true;
    case LayerKind::groupnorm:
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
      return layer.affine;
    case LayerKind::relu:
    case LayerKind::maxpool:
    case LayerKind::flatten:
    case LayerKind::normalize:
    case LayerKind::add:
    case LayerKind::global_avg_pool:
    case LayerKind::avgpool:
    case LayerKind::adaptive_avgpool:
    case LayerKind::adaptive_maxpool:
    case LayerKind::leaky_relu:
    case LayerKind::relu6:
    case LayerKind::elu:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::gelu:
    case LayerKind::hardswish:
    case LayerKind::softmax:
    case LayerKind::concat:
    case LayerKind::mul:
    case LayerKind::sub:
    case LayerKind::reshape:
    case LayerKind::identity:
    case LayerKind::dropout:
      break;
  }
  return false;
}

/// One axis of a layer's windows: what the description says of it.
WindowAxis axis_of(int in, int kernel, int stride, int padding, int dilation) {
  return {.in = in,
          .out = 1,
          .kernel = kernel,
          .stride = stride,
          .padding = padding,
          .dilation = dilation};
}

/// How many windows there are; PyTorch's rule: with ceil_mode, a last one that starts inside the
/// input or its left padding.
int windows(const WindowAxis& a, bool ceil_mode) {
  const int room = a.in + 2 * a.padding - a.dilation * (a.kernel - 1) - 1;
  int count = room / a.stride + 1;
  if (ceil_mode && room % a.stride != 0 && count * a.stride < a.in + a.padding) ++count;
  return count;
}

void check_axis(const NetworkSpec& spec, std::size_t index, const WindowAxis& a) {
  const Layer& layer = spec.layers[index];
  require(a.kernel >= 1 && a.kernel <= kMaxExtent, spec, index, "kernel must be at least 1");
  require(a.stride >= 1 && a.stride <= kMaxExtent, spec, index, "stride must be at least 1");
  require(a.dilation >= 1 && a.dilation <= kMaxExtent, spec, index, "dilation must be at least 1");
  const long reach = long{a.dilation} * (a.kernel - 1);  // of a window, beyond its first tap
  require(reach <= kMaxExtent, spec, index, "its windows reach too far");
  require(a.padding >= 0 && a.padding <= reach, spec, index,
          layer.dilation == 1 ? "padding must be at least 0 and less than the kernel"
                              : "padding must be at least 0 and within a window's reach");
  if (layer.kind != LayerKind::conv2d)
    require(2 * a.padding <= a.kernel, spec, index,
            to_name(layer.kind) + " padding may be at most half the window");
}

ActivationShape windowed_shape(const NetworkSpec& spec, std::size_t index,
                               const ActivationShape& in) {
  const Layer& layer = spec.layers[index];
  if (layer.same_padding)
    require(layer.padding == 0 && !layer.padding_x && layer.stride == 1 &&
                layer.stride_x.value_or(1) == 1,
            spec, index, "padding \"same\" goes with stride 1, as in PyTorch");
  const WindowShape w = window_shape(layer, in);
  check_axis(spec, index, w.y);
  check_axis(spec, index, w.x);
  int channels = in.channels;
  if (layer.kind == LayerKind::conv2d) {
    require(layer.out_channels >= 1 && layer.out_channels <= kMaxExtent, spec, index,
            "out_channels must be at least 1");
    require(layer.groups >= 1 && in.channels % layer.groups == 0 &&
                layer.out_channels % layer.groups == 0,
            spec, index,
            "groups must divide its " + std::to_string(in.channels) + " input and " +
                std::to_string(layer.out_channels) + " output channels");
    channels = layer.out_channels;
  }
  if (layer.same_padding) return {channels, in.height, in.width};
  require(windows(w.y, false) >= 1 && windows(w.x, false) >= 1 &&
              in.height + 2 * w.y.padding > w.y.dilation * (w.y.kernel - 1) &&
              in.width + 2 * w.x.padding > w.x.dilation * (w.x.kernel - 1),
          spec, index,
          "a " + text(w.y.dilation * (w.y.kernel - 1) + 1, w.x.dilation * (w.x.kernel - 1) + 1) +
              " window does not fit its input " + text(in));
  return {channels, windows(w.y, layer.ceil_mode), windows(w.x, layer.ceil_mode)};
}

/// The common shape of two inputs, an extent of 1 repeated.
ActivationShape combined_shape(const NetworkSpec& spec, std::size_t index, const ActivationShape& a,
                               const ActivationShape& b) {
  const auto fits = [](int x, int y) { return x == y || x == 1 || y == 1; };
  require(fits(a.channels, b.channels) && fits(a.height, b.height) && fits(a.width, b.width), spec,
          index,
          to_name(spec.layers[index].kind) + " needs equal shapes, or extents of 1, found " +
              text(a) + " and " + text(b));
  return {std::max(a.channels, b.channels), std::max(a.height, b.height),
          std::max(a.width, b.width)};
}

ActivationShape concatenated_shape(const NetworkSpec& spec, std::size_t index,
                                   const std::vector<ActivationShape>& in) {
  ActivationShape all = in[0];
  for (std::size_t i = 1; i < in.size(); ++i) {
    require(in[i].height == all.height && in[i].width == all.width, spec, index,
            "concat joins channels of equal rows and columns, found " + text(in[0]) + " and " +
                text(in[i]));
    all.channels += in[i].channels;
    require(all.channels <= kMaxExtent, spec, index, "concat gives too many channels");
  }
  return all;
}

/// "same" of windows that reach as far to either side is a padding like any other.
void resolve_same_padding(Layer& layer) {
  if (!layer.same_padding) return;
  const WindowShape w = window_shape(layer, {});
  const auto even = [](const WindowAxis& a) { return a.dilation * (a.kernel - 1) % 2 == 0; };
  if (!even(w.y) || !even(w.x)) return;
  layer.same_padding = false;
  layer.padding = w.y.padding;
  if (w.x.padding != w.y.padding) layer.padding_x = w.x.padding;
}

bool within(const ActivationShape& s) {
  const auto good = [](int extent) { return extent >= 1 && extent <= kMaxExtent; };
  return good(s.channels) && good(s.height) && good(s.width) && s.size() <= kMaxActivation;
}

ActivationShape output_shape(const NetworkSpec& spec, std::size_t index,
                             const std::vector<ActivationShape>& inputs) {
  const Layer& layer = spec.layers[index];
  const ActivationShape in = inputs.empty() ? spec.input : inputs[0];
  switch (layer.kind) {
    case LayerKind::conv2d:
    case LayerKind::maxpool:
    case LayerKind::avgpool:
      return windowed_shape(spec, index, in);
    case LayerKind::adaptive_avgpool:
    case LayerKind::adaptive_maxpool:
      require(layer.shape.height >= 1 && layer.shape.height <= kMaxExtent &&
                  layer.shape.width >= 1 && layer.shape.width <= kMaxExtent,
              spec, index, "output must be at least 1×1");
      return {in.channels, layer.shape.height, layer.shape.width};
    case LayerKind::linear:
      require(in.height == 1 && in.width == 1, spec, index,
              "linear needs a flat input, found " + text(in) + "; put a flatten layer before it");
      require(layer.out_channels >= 1 && layer.out_channels <= kMaxExtent, spec, index,
              "out_features must be at least 1");
      return {layer.out_channels, 1, 1};
    case LayerKind::flatten:
      return {static_cast<int>(in.size()), 1, 1};
    case LayerKind::global_avg_pool:
      return {in.channels, 1, 1};
    case LayerKind::normalize:
      require(layer.mean.size() == static_cast<std::size_t>(in.channels) &&
                  layer.stddev.size() == static_cast<std::size_t>(in.channels),
              spec, index,
              "normalize needs " + std::to_string(in.channels) + " means and standard deviations");
      for (const float s : layer.stddev)
        require(s > 0.0f && s < 1e30f, spec, index, "normalize needs positive standard deviations");
      return in;
    case LayerKind::batchnorm:
      require(layer.eps > 0, spec, index, "eps must be positive");
      return in;
    case LayerKind::add:
    case LayerKind::sub:
    case LayerKind::mul:
      return combined_shape(spec, index, inputs[0], inputs[1]);
    case LayerKind::concat:
      return concatenated_shape(spec, index, inputs);
    case LayerKind::prelu:
      require(layer.slopes == 1 || layer.slopes == in.channels, spec, index,
              "prelu has one slope, or one for each of its " + std::to_string(in.channels) +
                  " channels");
      return in;
    case LayerKind::groupnorm:
      require(layer.groups >= 1 && in.channels % layer.groups == 0, spec, index,
              "groups must divide its " + std::to_string(in.channels) + " channels");
      require(layer.eps > 0, spec, index, "eps must be positive");
      return in;
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
      require(layer.eps > 0, spec, index, "eps must be positive");
      return in;
    case LayerKind::reshape:
      require(within(layer.shape) && layer.shape.size() == in.size(), spec, index,
              "a reshape keeps the number of values: " + text(in) + " does not become " +
                  text(layer.shape));
      return layer.shape;
    case LayerKind::constant:
      require(within(layer.shape), spec, index, "shape must be [channels, rows, columns]");
      return layer.shape;
    case LayerKind::leaky_relu:
    case LayerKind::elu:
      require(layer.alpha > -1e30 && layer.alpha < 1e30, spec, index,
              std::string(layer.kind == LayerKind::elu ? "alpha" : "slope") +
                  " must be a finite number");
      return in;
    case LayerKind::relu:
    case LayerKind::relu6:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::gelu:
    case LayerKind::hardswish:
    case LayerKind::softmax:
    case LayerKind::identity:
    case LayerKind::dropout:
      return in;
  }
  return in;
}

}  // namespace

void check_input(const NetworkSpec& spec) {
  const auto bad = [](int extent) { return extent < 1 || extent > kMaxExtent; };
  if (bad(spec.input.channels) || bad(spec.input.height) || bad(spec.input.width) ||
      spec.input.size() > kMaxActivation)
    throw UsageError("network '" + spec.name +
                     "': the input must be channels × height × width, each at least 1");
}

void infer_layer(NetworkSpec& spec, std::size_t i) {
  Layer& layer = spec.layers[i];
  require(!needs_name(layer) || !layer.name.empty(), spec, i, "needs a name for its parameters");
  const Arity arity = arity_of(layer.kind);
  require(layer.inputs.size() >= arity.least && layer.inputs.size() <= arity.most, spec, i,
          arity.least < arity.most
              ? "needs two inputs or more"
              : "needs " + std::to_string(arity.least) + (arity.least == 1 ? " input" : " inputs"));
  std::vector<ActivationShape> in;
  for (const int input : layer.inputs) {
    require(input >= -1 && input < static_cast<int>(i), spec, i,
            "an input must be the image or an earlier layer");
    in.push_back(input < 0 ? spec.input : spec.layers[static_cast<std::size_t>(input)].out);
  }
  layer.out = output_shape(spec, i, in);
  resolve_same_padding(layer);
  require(layer.out.size() <= kMaxActivation, spec, i,
          "its output " + text(layer.out) + " is too large");
}

void infer_shapes(NetworkSpec& spec) {
  check_input(spec);
  if (spec.classes < 2 || spec.classes > kMaxExtent)
    throw UsageError("network '" + spec.name + "': classes must be at least 2");
  if (spec.layers.empty()) throw UsageError("network '" + spec.name + "' has no layers");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const std::string& name = spec.layers[i].name;
    if (!name.empty()) {
      require(std::find(names.begin(), names.end(), name) == names.end(), spec, i,
              "the name is used twice");
      names.push_back(name);
    }
    infer_layer(spec, i);
  }
  const ActivationShape& last = spec.layers.back().out;
  if (last != ActivationShape{spec.classes, 1, 1})
    throw UsageError("network '" + spec.name + "': the last layer gives " + text(last) + ", but " +
                     std::to_string(spec.classes) + " logits are needed");
}

WindowShape window_shape(const Layer& layer, const ActivationShape& in) {
  WindowShape w;
  w.in_channels = in.channels;
  w.out_channels = layer.out.channels;
  const bool adaptive =
      layer.kind == LayerKind::adaptive_avgpool || layer.kind == LayerKind::adaptive_maxpool;
  if (adaptive) {
    w.adaptive = true;
    w.y = axis_of(in.height, 1, 1, 0, 1);
    w.x = axis_of(in.width, 1, 1, 0, 1);
  } else {
    w.groups = layer.kind == LayerKind::conv2d ? layer.groups : 1;
    w.count_padding = layer.kind == LayerKind::avgpool && layer.count_include_pad;
    w.y = axis_of(in.height, layer.kernel, layer.stride, layer.padding, layer.dilation);
    w.x = axis_of(in.width, layer.kernel_x.value_or(layer.kernel),
                  layer.stride_x.value_or(layer.stride), layer.padding_x.value_or(layer.padding),
                  layer.dilation_x.value_or(layer.dilation));
    if (layer.same_padding)  // the odd one goes behind the last row and column
      for (WindowAxis* a : {&w.y, &w.x})
        a->padding = static_cast<int>(
            std::clamp(long{a->dilation} * (long{a->kernel} - 1) / 2, 0L, long{2 * kMaxExtent}));
  }
  w.y.out = layer.out.height;
  w.x.out = layer.out.width;
  return w;
}

std::uint64_t multiply_adds(const NetworkSpec& spec) {
  std::uint64_t sum = 0;
  for (const Layer& layer : spec.layers) {
    if (layer.kind != LayerKind::conv2d && layer.kind != LayerKind::linear) continue;
    const int input = layer.inputs.at(0);
    const ActivationShape& in =
        input < 0 ? spec.input : spec.layers[static_cast<std::size_t>(input)].out;
    std::uint64_t taps = in.size();
    if (layer.kind == LayerKind::conv2d) {
      const WindowShape w = window_shape(layer, in);
      taps = static_cast<std::uint64_t>(in.channels / layer.groups) *
             static_cast<std::uint64_t>(w.y.kernel) * static_cast<std::uint64_t>(w.x.kernel);
    }
    sum += layer.out.size() * taps;
  }
  return sum;
}

}  // namespace smoothcert
