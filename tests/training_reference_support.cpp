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

/// f(index, y, x) for every tap of the window at (oy, ox) that lies inside the input.
template <class F>
void for_each_tap(const Layer& l, const ActivationShape& in, int oy, int ox, const F& f) {
  for (int ky = 0; ky < l.kernel; ++ky)
    for (int kx = 0; kx < l.kernel; ++kx) {
      const int y = oy * l.stride - l.padding + ky, x = ox * l.stride - l.padding + kx;
      if (y >= 0 && y < in.height && x >= 0 && x < in.width) f(ky * l.kernel + kx, y, x);
    }
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
    const Activation& in = value(l.inputs[0]);
    const ActivationShape is =
        l.inputs[0] < 0 ? spec.input : spec.layers[static_cast<std::size_t>(l.inputs[0])].out;
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
        scale[c] = tensors.at(l.name + ".weight")[c] / std::sqrt(v + l.eps);
        shift[c] = tensors.at(l.name + ".bias")[c] - m * scale[c];
      }
    }
    for (std::size_t n = 0; n < images.size(); ++n) {
      const std::vector<double>& x = in[n];
      std::vector<double>& y = out[n];
      for (std::size_t j = 0; j < y.size(); ++j) {
        const auto c = static_cast<int>(
            j / (static_cast<std::size_t>(os.height) * static_cast<std::size_t>(os.width)));
        const int oy = static_cast<int>(j / static_cast<std::size_t>(os.width)) % os.height;
        const int ox = static_cast<int>(j) % os.width;
        switch (l.kind) {
          case LayerKind::conv2d: {
            const auto& w = tensors.at(l.name + ".weight");
            if (l.bias) y[j] = tensors.at(l.name + ".bias")[static_cast<std::size_t>(c)];
            for (int d = 0; d < is.channels; ++d)
              for_each_tap(l, is, oy, ox, [&](int tap, int ty, int tx) {
                y[j] +=
                    w[static_cast<std::size_t>((c * is.channels + d) * l.kernel * l.kernel + tap)] *
                    x[at(is, d, ty, tx)];
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
          case LayerKind::relu:
            y[j] = std::max(x[j], 0.0);
            break;
          default:  // nothing else has a gradient
          case LayerKind::flatten:
            y[j] = x[j];
            break;
          case LayerKind::add:
            y[j] = x[j] + value(l.inputs[1])[n][j];
            break;
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
