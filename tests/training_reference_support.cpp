// Training in plain loops, for the lane kernels to be compared with.
#include "training_reference_support.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace smoothcert {
namespace {

using Activation = std::vector<std::vector<double>>;  // [image][CHW]

std::size_t at(const ActivationShape& s, int c, int y, int x) {
  return (static_cast<std::size_t>(c) * static_cast<std::size_t>(s.height) +
          static_cast<std::size_t>(y)) *
             static_cast<std::size_t>(s.width) +
         static_cast<std::size_t>(x);
}

/// f(index, y, x) for every tap of the window at (oy, ox) that lies inside the input; returns the
/// number of taps that are in the input or its padding.
template <class F>
int for_each_tap(const Layer& l, const ActivationShape& in, int oy, int ox, const F& f) {
  const WindowShape w = window_shape(l, in);
  if (w.adaptive) {
    const auto begin = [](const WindowAxis& a, int i) { return i * a.in / a.out; };
    const auto end = [](const WindowAxis& a, int i) {
      return ((i + 1) * a.in + a.out - 1) / a.out;
    };
    for (int y = begin(w.y, oy); y < end(w.y, oy); ++y)
      for (int x = begin(w.x, ox); x < end(w.x, ox); ++x) f(0, y, x);
    return (end(w.y, oy) - begin(w.y, oy)) * (end(w.x, ox) - begin(w.x, ox));
  }
  int whole = 0;
  for (int ky = 0; ky < w.y.kernel; ++ky)
    for (int kx = 0; kx < w.x.kernel; ++kx) {
      const int y = oy * w.y.stride - w.y.padding + ky * w.y.dilation;
      const int x = ox * w.x.stride - w.x.padding + kx * w.x.dilation;
      if (y < in.height + w.y.padding && x < in.width + w.x.padding) ++whole;
      if (y >= 0 && y < in.height && x >= 0 && x < in.width) f(ky * w.x.kernel + kx, y, x);
    }
  return whole;
}

/// An activation function of one value.
double activated(const Layer& l, double x) {
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  switch (l.kind) {
    case LayerKind::relu:
      return std::max(x, 0.0);
    case LayerKind::leaky_relu:
      return x < 0 ? l.alpha * x : x;
    case LayerKind::relu6:
      return std::clamp(x, 0.0, 6.0);
    case LayerKind::elu:
      return x < 0 ? l.alpha * std::expm1(x) : x;
    case LayerKind::silu:
      return x * sigmoid(x);
    case LayerKind::sigmoid:
      return sigmoid(x);
    case LayerKind::tanh:
      return std::tanh(x);
    case LayerKind::gelu:
      if (l.tanh_form)
        return x / 2 *
               (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    default:  // hardswish
      return x * std::clamp(x + 3, 0.0, 6.0) / 6;
  }
}

/// Normalised over each group of channels, without scale and shift.
std::vector<double> group_normalised(const std::vector<double>& x, std::size_t groups, double eps) {
  std::vector<double> y = x;
  const std::size_t count = x.size() / groups;
  for (std::size_t first = 0; first < x.size(); first += count) {
    double mean = 0, variance = 0;
    for (std::size_t i = first; i < first + count; ++i) mean += x[i] / double(count);
    for (std::size_t i = first; i < first + count; ++i)
      variance += (x[i] - mean) * (x[i] - mean) / double(count);
    for (std::size_t i = first; i < first + count; ++i)
      y[i] = (x[i] - mean) / std::sqrt(variance + eps);
  }
  return y;
}

}  // namespace

ReferenceTrainer::ReferenceTrainer(const Network& net) : spec(net.spec) {
  for (const auto& [name, tensor] : net.tensors)
    tensors[name] = {tensor.data.begin(), tensor.data.end()};
}

std::vector<double> ReferenceTrainer::logits(const std::vector<std::vector<double>>& images,
                                             ForwardMode mode, bool update) {
  std::vector<Activation> values(spec.layers.size());
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const Layer& l = spec.layers[i];
    const auto value = [&](int v) -> const Activation& {
      return v < 0 ? images : values[static_cast<std::size_t>(v)];
    };
    const auto shape_of = [&](int v) {
      return v < 0 ? spec.input : spec.layers[static_cast<std::size_t>(v)].out;
    };
    const int first_input = l.inputs.empty() ? -1 : l.inputs[0];  // a constant has none
    const Activation& in = value(first_input);
    const ActivationShape is = shape_of(first_input);
    const ActivationShape os = l.out;
    const std::size_t area =
        static_cast<std::size_t>(is.height) * static_cast<std::size_t>(is.width);
    Activation& out = values[i];
    out.assign(images.size(), std::vector<double>(os.size()));
    std::vector<double> scale(static_cast<std::size_t>(is.channels)), shift = scale;
    if (l.kind == LayerKind::batchnorm) {
      auto& mean = tensors.at(l.name + ".running_mean");
      auto& variance = tensors.at(l.name + ".running_var");
      for (std::size_t c = 0; c < scale.size(); ++c) {
        double m = mean[c], v = variance[c];
        if (mode == ForwardMode::train) {
          const double n = static_cast<double>(area * in.size());
          m = v = 0;
          for (const auto& image : in)
            for (std::size_t p = c * area; p < (c + 1) * area; ++p) m += image[p] / n;
          for (const auto& image : in)
            for (std::size_t p = c * area; p < (c + 1) * area; ++p)
              v += (image[p] - m) * (image[p] - m) / n;
          if (update) {
            mean[c] += l.momentum * (m - mean[c]);
            variance[c] += l.momentum * (v * n / (n - 1) - variance[c]);
          }
        }
        scale[c] = (l.affine ? tensors.at(l.name + ".weight")[c] : 1.0) / std::sqrt(v + l.eps);
        shift[c] = (l.affine ? tensors.at(l.name + ".bias")[c] : 0.0) - m * scale[c];
      }
    }
    for (std::size_t n = 0; n < images.size(); ++n) {
      const std::vector<double>& x = in[n];
      std::vector<double>& y = out[n];
      std::vector<double> normalised;
      if (l.kind == LayerKind::groupnorm || l.kind == LayerKind::layernorm ||
          l.kind == LayerKind::instancenorm) {
        const int groups = l.kind == LayerKind::groupnorm   ? l.groups
                           : l.kind == LayerKind::layernorm ? 1
                                                            : is.channels;
        normalised = group_normalised(x, static_cast<std::size_t>(groups), l.eps);
      }
      for (std::size_t j = 0; j < y.size(); ++j) {
        const auto c = static_cast<int>(
            j / (static_cast<std::size_t>(os.height) * static_cast<std::size_t>(os.width)));
        const int oy = static_cast<int>(j / static_cast<std::size_t>(os.width)) % os.height;
        const int ox = static_cast<int>(j) % os.width;
        switch (l.kind) {
          case LayerKind::conv2d: {
            const auto& w = tensors.at(l.name + ".weight");
            if (l.bias) y[j] = tensors.at(l.name + ".bias")[static_cast<std::size_t>(c)];
            const int channels = is.channels / l.groups;
            const int first = c / (os.channels / l.groups) * channels;
            const int taps = l.kernel * l.kernel_x.value_or(l.kernel);
            for (int d = 0; d < channels; ++d)
              for_each_tap(l, is, oy, ox, [&](int tap, int ty, int tx) {
                y[j] += w[static_cast<std::size_t>((c * channels + d) * taps + tap)] *
                        x[at(is, first + d, ty, tx)];
              });
            break;
          }
          case LayerKind::linear: {
            const auto& w = tensors.at(l.name + ".weight");
            if (l.bias) y[j] = tensors.at(l.name + ".bias")[j];
            for (std::size_t k = 0; k < x.size(); ++k) y[j] += w[j * x.size() + k] * x[k];
            break;
          }
          case LayerKind::maxpool:
          case LayerKind::adaptive_maxpool:
            y[j] = -INFINITY;
            for_each_tap(l, is, oy, ox,
                         [&](int, int ty, int tx) { y[j] = std::max(y[j], x[at(is, c, ty, tx)]); });
            break;
          case LayerKind::global_avg_pool:
            for (std::size_t p = 0; p < area; ++p) y[j] += x[j * area + p] / double(area);
            break;
          case LayerKind::batchnorm:
            y[j] = x[j] * scale[static_cast<std::size_t>(c)] + shift[static_cast<std::size_t>(c)];
            break;
          case LayerKind::normalize:
            y[j] = (x[j] - double{l.mean[static_cast<std::size_t>(c)]}) /
                   double{l.stddev[static_cast<std::size_t>(c)]};
            break;
          case LayerKind::avgpool:
          case LayerKind::adaptive_avgpool: {
            double sum = 0;
            int count = 0;
            const int whole = for_each_tap(l, is, oy, ox, [&](int, int ty, int tx) {
              sum += x[at(is, c, ty, tx)];
              ++count;
            });
            y[j] = sum / (l.count_include_pad ? whole : count);
            break;
          }
          case LayerKind::relu:
          case LayerKind::leaky_relu:
          case LayerKind::relu6:
          case LayerKind::elu:
          case LayerKind::silu:
          case LayerKind::sigmoid:
          case LayerKind::tanh:
          case LayerKind::gelu:
          case LayerKind::hardswish:
            y[j] = activated(l, x[j]);
            break;
          case LayerKind::prelu:
            y[j] = x[j] < 0 ? x[j] * tensors.at(l.name + ".weight")[l.slopes == 1 ? 0u : j / area]
                            : x[j];
            break;
          case LayerKind::softmax: {
            double sum = 0;
            for (std::size_t k = j % area; k < x.size(); k += area) sum += std::exp(x[k] - x[j]);
            y[j] = 1 / sum;
            break;
          }
          case LayerKind::groupnorm:
          case LayerKind::layernorm:
          case LayerKind::instancenorm: {
            const std::size_t k = l.kind == LayerKind::layernorm ? j : j / area;
            y[j] = l.affine ? normalised[j] * tensors.at(l.name + ".weight")[k] +
                                  tensors.at(l.name + ".bias")[k]
                            : normalised[j];
            break;
          }
          case LayerKind::flatten:
          case LayerKind::reshape:
          case LayerKind::identity:
          case LayerKind::dropout:  // refused in training
            y[j] = x[j];
            break;
          case LayerKind::constant:
            y[j] = tensors.at(l.name + ".value")[j];
            break;
          case LayerKind::concat: {
            std::size_t k = j;
            for (const int input : l.inputs) {
              const std::vector<double>& part = value(input)[n];
              if (k < part.size()) {
                y[j] = part[k];
                break;
              }
              k -= part.size();
            }
            break;
          }
          case LayerKind::add:
          case LayerKind::sub:
          case LayerKind::mul: {
            double operand[2];
            for (std::size_t k = 0; k < 2; ++k) {
              const ActivationShape s = shape_of(l.inputs[k]);
              operand[k] =
                  value(l.inputs[k])[n][at(s, std::min(c, s.channels - 1),
                                           std::min(oy, s.height - 1), std::min(ox, s.width - 1))];
            }
            y[j] = l.kind == LayerKind::add   ? operand[0] + operand[1]
                   : l.kind == LayerKind::sub ? operand[0] - operand[1]
                                              : operand[0] * operand[1];
            break;
          }
        }
      }
    }
  }
  std::vector<double> all;
  for (const auto& image : values.back()) all.insert(all.end(), image.begin(), image.end());
  return all;
}

double ReferenceTrainer::loss(const std::vector<std::vector<double>>& images,
                              std::span<const Label> labels, ForwardMode mode, LossKind kind,
                              bool mean) {
  const auto scores = logits(images, mode);
  const auto classes = static_cast<std::size_t>(spec.classes);
  double sum = 0;
  for (std::size_t n = 0; n < images.size(); ++n) {
    const double* z = scores.data() + n * classes;
    double top = -INFINITY, other = -INFINITY, total = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      top = std::max(top, z[c]);
      if (c != labels[n]) other = std::max(other, z[c]);
    }
    for (std::size_t c = 0; c < classes; ++c) total += std::exp(z[c] - top);
    sum += kind == LossKind::margin ? other - z[labels[n]] : std::log(total) + top - z[labels[n]];
  }
  return mean ? sum / static_cast<double>(images.size()) : sum;
}

Dataset random_dataset(const NetworkSpec& spec, std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  Dataset data;
  data.name = "random";
  data.shape = spec.input;
  data.classes = spec.classes;
  data.pixels.resize(count * spec.input.size());
  for (auto& p : data.pixels) p = static_cast<std::uint8_t>(random() % 256);
  for (std::size_t i = 0; i < count; ++i)
    data.labels.push_back(
        static_cast<std::uint8_t>(random() % static_cast<unsigned>(spec.classes)));
  return data;
}

std::vector<std::vector<double>> pixels_of(const Dataset& data,
                                           std::span<const std::uint32_t> indices) {
  std::vector<std::vector<double>> images;
  for (const std::uint32_t i : indices) {
    auto& image = images.emplace_back();
    for (const std::uint8_t p : data.image(i))
      image.push_back(double{static_cast<float>(p) * (1.0f / 255.0f)});
  }
  return images;
}

}  // namespace smoothcert
