// A training step in plain loops, for the kernels to be compared with.
#include "reference_training.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace smoothcert::simt_test {
namespace {

constexpr double kStep = 1e-6;

Values convolve(const Layer& l, const ActivationShape& in, const Values& x, const Values& w,
                const Values* bias) {
  Values out(l.out.size());
  std::size_t at = 0;
  for (int o = 0; o < l.out.channels; ++o)
    for (int y = 0; y < l.out.height; ++y)
      for (int z = 0; z < l.out.width; ++z, ++at) {
        double sum = bias ? (*bias)[static_cast<std::size_t>(o)] : 0.0;
        for (int c = 0; c < in.channels; ++c)
          for (int ky = 0; ky < l.kernel; ++ky)
            for (int kx = 0; kx < l.kernel; ++kx) {
              const int iy = y * l.stride - l.padding + ky, ix = z * l.stride - l.padding + kx;
              if (iy < 0 || ix < 0 || iy >= in.height || ix >= in.width) continue;
              sum += w[static_cast<std::size_t>(((o * in.channels + c) * l.kernel + ky) * l.kernel +
                                                kx)] *
                     x[static_cast<std::size_t>((c * in.height + iy) * in.width + ix)];
            }
        out[at] = sum;
      }
  return out;
}

Values pool(const Layer& l, const ActivationShape& in, const Values& x) {
  Values out(l.out.size());
  std::size_t at = 0;
  for (int c = 0; c < l.out.channels; ++c)
    for (int y = 0; y < l.out.height; ++y)
      for (int z = 0; z < l.out.width; ++z, ++at) {
        double best = -std::numeric_limits<double>::infinity();
        for (int ky = 0; ky < l.kernel; ++ky)
          for (int kx = 0; kx < l.kernel; ++kx) {
            const int iy = y * l.stride - l.padding + ky, ix = z * l.stride - l.padding + kx;
            if (iy < 0 || ix < 0 || iy >= in.height || ix >= in.width) continue;
            best =
                std::max(best, x[static_cast<std::size_t>((c * in.height + iy) * in.width + ix)]);
          }
        out[at] = best;
      }
  return out;
}

}  // namespace

ReferenceNetwork::ReferenceNetwork(const Network& net) : spec_(net.spec) {
  for (const auto& [name, tensor] : net.tensors) {
    tensors[name] = Values(tensor.data.begin(), tensor.data.end());
  }
}

void ReferenceNetwork::batchnorm(const Layer& l, Batch& x, std::size_t area, bool train,
                                 bool update) {
  auto& running_mean = tensors.at(l.name + ".running_mean");
  auto& running_var = tensors.at(l.name + ".running_var");
  const double count = static_cast<double>(x.size() * area);
  for (std::size_t c = 0; c < running_mean.size(); ++c) {
    double mean = running_mean[c], var = running_var[c];
    if (train) {
      mean = var = 0;
      for (const auto& v : x)
        for (std::size_t i = 0; i < area; ++i) mean += v[c * area + i];
      mean /= count;
      for (const auto& v : x)
        for (std::size_t i = 0; i < area; ++i) var += std::pow(v[c * area + i] - mean, 2);
      if (update) {
        running_mean[c] += l.momentum * (mean - running_mean[c]);
        running_var[c] += l.momentum * (var / (count - 1) - running_var[c]);
      }
      var /= count;
    }
    const double scale = tensors.at(l.name + ".weight")[c] / std::sqrt(var + l.eps);
    for (auto& v : x)
      for (std::size_t i = 0; i < area; ++i)
        v[c * area + i] = (v[c * area + i] - mean) * scale + tensors.at(l.name + ".bias")[c];
  }
}

Batch ReferenceNetwork::layer(const Layer& l, const std::vector<Batch>& values, const Batch& images,
                              bool train, bool update) {
  const auto value = [&](std::size_t input) -> const Batch& {
    const int v = l.inputs[input];
    return v < 0 ? images : values[static_cast<std::size_t>(v)];
  };
  const ActivationShape in =
      l.inputs[0] < 0 ? spec_.input : spec_.layers[static_cast<std::size_t>(l.inputs[0])].out;
  const auto area = static_cast<std::size_t>(in.height * in.width);
  Batch x = value(0);
  if (l.kind == LayerKind::batchnorm) {
    batchnorm(l, x, area, train, update);
    return x;
  }
  for (std::size_t n = 0; n < x.size(); ++n) {
    Values& v = x[n];
    switch (l.kind) {
      case LayerKind::conv2d:
      case LayerKind::linear: {
        const Values* bias = l.bias ? &tensors.at(l.name + ".bias") : nullptr;
        Layer as = l;
        ActivationShape from = in;
        if (l.kind == LayerKind::linear) {
          from = {static_cast<int>(in.size()), 1, 1};
          as.kernel = as.stride = 1;
          as.padding = 0;
        }
        v = convolve(as, from, v, tensors.at(l.name + ".weight"), bias);
        break;
      }
      case LayerKind::relu:
        for (double& e : v) e = std::max(e, 0.0);
        break;
      case LayerKind::maxpool:
        v = pool(l, in, v);
        break;
      case LayerKind::add:
        for (std::size_t i = 0; i < v.size(); ++i) v[i] += value(1)[n][i];
        break;
      case LayerKind::normalize:
        for (std::size_t i = 0; i < v.size(); ++i)
          v[i] = (v[i] - l.mean[i / area]) / l.stddev[i / area];
        break;
      case LayerKind::global_avg_pool: {
        Values mean(static_cast<std::size_t>(in.channels));
        for (std::size_t i = 0; i < v.size(); ++i)
          mean[i / area] += v[i] / static_cast<double>(area);
        v = mean;
        break;
      }
      case LayerKind::flatten:
        break;
      default:
        throw std::logic_error("this reference knows the layers of small_network() alone");
    }
  }
  return x;
}

Batch ReferenceNetwork::forward(const Batch& images, bool train, bool update) {
  std::vector<Batch> values;
  for (const Layer& l : spec_.layers) values.push_back(layer(l, values, images, train, update));
  return values.back();
}

double reference_loss(const Values& logits, int label, LossKind kind) {
  const auto at = static_cast<std::size_t>(label);
  double other = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::size_t c = 0; c < logits.size(); ++c) {
    sum += std::exp(logits[c] - logits[at]);
    if (c != at) other = std::max(other, logits[c]);
  }
  return kind == LossKind::cross_entropy ? std::log(sum) : other - logits[at];
}

double ReferenceNetwork::loss(const Batch& images, const std::vector<Label>& labels, LossKind kind,
                              bool train) {
  const Batch logits = forward(images, train, false);
  double sum = 0;
  for (std::size_t n = 0; n < logits.size(); ++n) sum += reference_loss(logits[n], labels[n], kind);
  return sum / static_cast<double>(logits.size());
}

double ReferenceNetwork::accuracy(const Batch& images, const std::vector<Label>& labels,
                                  bool train) {
  const Batch logits = forward(images, train, false);
  double right = 0;
  for (std::size_t n = 0; n < logits.size(); ++n) {
    const auto top = std::max_element(logits[n].begin(), logits[n].end()) - logits[n].begin();
    right += top == labels[n] ? 1.0 : 0.0;
  }
  return right / static_cast<double>(logits.size());
}

std::map<std::string, Values> ReferenceNetwork::gradients(const Batch& images,
                                                          const std::vector<Label>& labels) {
  std::map<std::string, Values> result;
  for (const TensorSlot& slot : tensor_slots(spec_)) {
    if (!slot.trainable) continue;
    Values& parameter = tensors.at(slot.name);
    for (double& p : parameter) {
      const double old = p;
      p = old + kStep;
      const double above = loss(images, labels, LossKind::cross_entropy, true);
      p = old - kStep;
      const double below = loss(images, labels, LossKind::cross_entropy, true);
      p = old;
      result[slot.name].push_back((above - below) / (2 * kStep));
    }
  }
  return result;
}

Batch ReferenceNetwork::input_gradient(Batch images, const std::vector<Label>& labels,
                                       LossKind kind, bool train) {
  Batch result = images;
  const auto count = static_cast<double>(images.size());
  for (std::size_t n = 0; n < images.size(); ++n) {
    for (std::size_t p = 0; p < images[n].size(); ++p) {
      const double old = images[n][p];
      images[n][p] = old + kStep;
      const double above = loss(images, labels, kind, train);
      images[n][p] = old - kStep;
      const double below = loss(images, labels, kind, train);
      images[n][p] = old;
      result[n][p] = (above - below) / (2 * kStep) * count;
    }
  }
  return result;
}

void reference_attack_step(AttackKind kind, const Values& gradient, double length, double epsilon,
                           const Values& clean, Values& x) {
  double l1 = 0, l2 = 0;
  std::size_t largest = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    l1 += std::abs(gradient[i]);
    l2 += gradient[i] * gradient[i];
    if (std::abs(gradient[i]) > std::abs(gradient[largest])) largest = i;
  }
  l2 = std::sqrt(l2);
  const auto sign = [](double v) { return v > 0 ? 1.0 : v < 0 ? -1.0 : 0.0; };
  for (std::size_t i = 0; i < x.size() && l1 > 0; ++i) {
    switch (kind) {
      case AttackKind::fgm_l1:
        x[i] += length * gradient[i] / l1;
        break;
      case AttackKind::fgm_l1_steepest:
        if (i == largest) x[i] += length * sign(gradient[i]);
        break;
      case AttackKind::fgm_l2:
      case AttackKind::pgd_l2:
        x[i] += length * gradient[i] / l2;
        break;
      case AttackKind::fgm_linf:
      case AttackKind::pgd_linf:
        x[i] += length * sign(gradient[i]);
        break;
    }
  }
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) distance += std::pow(x[i] - clean[i], 2);
  distance = std::sqrt(distance);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (kind == AttackKind::pgd_l2 && distance > epsilon)
      x[i] = clean[i] + (x[i] - clean[i]) * epsilon / distance;
    if (kind == AttackKind::pgd_linf)
      x[i] = std::clamp(x[i], clean[i] - epsilon, clean[i] + epsilon);
    x[i] = std::clamp(x[i], 0.0, 1.0);
  }
}

}  // namespace smoothcert::simt_test
