// The plan executed as plainly as it can be written: the oracle of exact mode.
#include "cpu/reference_forward.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "smoothcert/device/activations.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert {
namespace {

using Values = std::vector<float>;

std::size_t at(const ActivationShape& s, int c, int y, int x) {
  return (static_cast<std::size_t>(c) * s.height + y) * s.width + x;
}

void conv(const PlanStep& step, const float* params, const float* in, Values& out) {
  const auto& is = step.in_shape;
  const auto& os = step.out_shape;
  const float* weight = params + step.weight;
  for (int o = 0; o < os.channels; ++o)
    for (int oy = 0; oy < os.height; ++oy)
      for (int ox = 0; ox < os.width; ++ox) {
        float acc = params[step.bias + o];
        for (int c = 0; c < is.channels; ++c)
          for (int ky = 0; ky < step.kernel; ++ky)
            for (int kx = 0; kx < step.kernel; ++kx) {
              const int y = oy * step.stride - step.padding + ky;
              const int x = ox * step.stride - step.padding + kx;
              if (y < 0 || y >= is.height || x < 0 || x >= is.width) continue;
              const std::size_t w =
                  ((static_cast<std::size_t>(o) * is.channels + c) * step.kernel + ky) *
                      step.kernel +
                  kx;
              acc = std::fma(weight[w], in[at(is, c, y, x)], acc);
            }
        out[at(os, o, oy, ox)] = acc;
      }
}

void window_conv(const PlanStep& step, const float* params, const float* in, Values& out) {
  const auto& is = step.in_shape;
  const auto& os = step.out_shape;
  const WindowShape& w = step.window;
  const int channels = is.channels / w.groups, group_outputs = os.channels / w.groups;
  for (int o = 0; o < os.channels; ++o)
    for (int oy = 0; oy < os.height; ++oy)
      for (int ox = 0; ox < os.width; ++ox) {
        float acc = params[step.bias + static_cast<std::size_t>(o)];
        const float* weight = params + step.weight +
                              static_cast<std::size_t>(o * channels) *
                                  static_cast<std::size_t>(w.y.kernel * w.x.kernel);
        for (int c = 0; c < channels; ++c)
          for (int ky = 0; ky < w.y.kernel; ++ky)
            for (int kx = 0; kx < w.x.kernel; ++kx, ++weight) {
              const int y = oy * w.y.stride - w.y.padding + ky * w.y.dilation;
              const int x = ox * w.x.stride - w.x.padding + kx * w.x.dilation;
              if (y < 0 || y >= is.height || x < 0 || x >= is.width) continue;
              acc = std::fma(*weight, in[at(is, o / group_outputs * channels + c, y, x)], acc);
            }
        out[at(os, o, oy, ox)] = acc;
      }
}

/// First and last + 1 position of a window, and the taps in it that count without an input.
struct Extent {
  int begin, end, whole;
};
Extent extent_of(const WindowAxis& a, int i, bool adaptive) {
  if (adaptive) {
    const double share = static_cast<double>(a.in) / a.out;
    const int begin = static_cast<int>(std::floor(i * share + 1e-9));
    const int end = static_cast<int>(std::ceil((i + 1) * share - 1e-9));
    return {begin, end, end - begin};
  }
  const int begin = i * a.stride - a.padding;
  return {begin, begin + a.kernel, std::min(begin + a.kernel, a.in + a.padding) - begin};
}

void window_pool(const PlanStep& step, bool maximum, const float* in, Values& out) {
  const auto& is = step.in_shape;
  const auto& os = step.out_shape;
  const WindowShape& w = step.window;
  for (int c = 0; c < os.channels; ++c)
    for (int oy = 0; oy < os.height; ++oy)
      for (int ox = 0; ox < os.width; ++ox) {
        const Extent ey = extent_of(w.y, oy, w.adaptive), ex = extent_of(w.x, ox, w.adaptive);
        float best = -INFINITY, sum = 0;
        int count = 0;
        for (int ky = 0; ky < ey.end - ey.begin; ++ky)
          for (int kx = 0; kx < ex.end - ex.begin; ++kx) {
            const int y = ey.begin + ky * w.y.dilation, x = ex.begin + kx * w.x.dilation;
            if (y < 0 || y >= is.height || x < 0 || x >= is.width) continue;
            const float v = in[at(is, c, y, x)];
            if (v > best || std::isnan(v)) best = v;
            sum += v;
            ++count;
          }
        if (w.count_padding) count = ey.whole * ex.whole;
        out[at(os, c, oy, ox)] = maximum ? best : sum * (1.0f / static_cast<float>(count));
      }
}

void softmax(const PlanStep& step, const float* in, Values& out) {
  const auto channels = static_cast<std::size_t>(step.in_shape.channels);
  const std::size_t area = out.size() / channels;
  for (std::size_t i = 0; i < area; ++i) {
    float top = in[i], sum = 0;
    for (std::size_t c = 1; c < channels; ++c) top = device::max_or_nan(top, in[c * area + i]);
    for (std::size_t c = 0; c < channels; ++c) {
      const float e = device::exp_nonpositive<device::ScalarMath>(in[c * area + i] - top);
      out[c * area + i] = e;
      sum += e;
    }
    for (std::size_t c = 0; c < channels; ++c) out[c * area + i] /= sum;
  }
}

void norm(const PlanStep& step, const float* params, const float* in, Values& out) {
  const std::size_t count = out.size() / static_cast<std::size_t>(step.groups);
  const std::size_t area = out.size() / static_cast<std::size_t>(step.in_shape.channels);
  const float share = 1.0f / static_cast<float>(count);
  for (std::size_t first = 0; first < out.size(); first += count) {
    float sum = 0, squares = 0;
    for (std::size_t i = first; i < first + count; ++i) sum += in[i];
    const float mean = sum * share;
    for (std::size_t i = first; i < first + count; ++i)
      squares = std::fma(in[i] - mean, in[i] - mean, squares);
    const float inverse = 1.0f / std::sqrt(squares * share + step.eps);
    for (std::size_t i = first; i < first + count; ++i) {
      const std::size_t parameter = step.value_weights ? i : i / area;
      out[i] = std::fma((in[i] - mean) * inverse, params[step.weight + parameter],
                        params[step.bias + parameter]);
    }
  }
}

void arithmetic(const ArithmeticShape& s, const float* a, const float* b, Values& out) {
  std::size_t i = 0;
  for (int c = 0; c < s.channels; ++c)
    for (int y = 0; y < s.height; ++y)
      for (int x = 0; x < s.width; ++x, ++i) {
        const float left = a[s.a.at(c, y, x)], right = b[s.b.at(c, y, x)];
        out[i] = s.kind == ArithmeticKind::add   ? left + right
                 : s.kind == ArithmeticKind::sub ? left - right
                                                 : left * right;
      }
}

void linear(const PlanStep& step, const float* params, const float* in, Values& out) {
  const std::size_t features = step.in_shape.size();
  for (std::size_t o = 0; o < out.size(); ++o) {
    float acc = params[step.bias + o];
    for (std::size_t i = 0; i < features; ++i)
      acc = std::fma(params[step.weight + o * features + i], in[i], acc);
    out[o] = acc;
  }
}

void maxpool(const PlanStep& step, const float* in, Values& out) {
  const auto& is = step.in_shape;
  const auto& os = step.out_shape;
  for (int c = 0; c < os.channels; ++c)
    for (int oy = 0; oy < os.height; ++oy)
      for (int ox = 0; ox < os.width; ++ox) {
        float best = -INFINITY;
        for (int ky = 0; ky < step.kernel; ++ky)
          for (int kx = 0; kx < step.kernel; ++kx) {
            const int y = oy * step.stride - step.padding + ky;
            const int x = ox * step.stride - step.padding + kx;
            if (y < 0 || y >= is.height || x < 0 || x >= is.width) continue;
            const float v = in[at(is, c, y, x)];
            if (v > best || std::isnan(v)) best = v;
          }
        out[at(os, c, oy, ox)] = best;
      }
}

void global_avg_pool(const PlanStep& step, const float* in, Values& out) {
  const std::size_t area = static_cast<std::size_t>(step.in_shape.height) * step.in_shape.width;
  const float share = 1.0f / static_cast<float>(area);
  for (std::size_t c = 0; c < out.size(); ++c) {
    float sum = 0;
    for (std::size_t i = 0; i < area; ++i) sum += in[c * area + i];
    out[c] = sum * share;
  }
}

}  // namespace

std::vector<Values> reference_activations(const InferencePlan& plan, std::span<const float> image) {
  std::vector<Values> values(plan.steps.size());
  const float* params = plan.params.data();
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    const auto value = [&](int v) {
      return v < 0 ? image.data() : values[static_cast<std::size_t>(v)].data();
    };
    const float* in = value(step.in);
    Values& out = values[i];
    out.resize(step.out_shape.size());
    switch (step.kind) {
      case StepKind::conv2d:
        conv(step, params, in, out);
        break;
      case StepKind::linear:
        linear(step, params, in, out);
        break;
      case StepKind::maxpool:
        maxpool(step, in, out);
        break;
      case StepKind::global_avg_pool:
        global_avg_pool(step, in, out);
        break;
      case StepKind::flatten:
        for (std::size_t j = 0; j < out.size(); ++j) out[j] = in[j];
        break;
      case StepKind::relu:
        for (std::size_t j = 0; j < out.size(); ++j) out[j] = in[j] < 0 ? 0 : in[j];
        break;
      case StepKind::affine: {
        const std::size_t area = out.size() / static_cast<std::size_t>(step.in_shape.channels);
        for (std::size_t j = 0; j < out.size(); ++j)
          out[j] = std::fma(in[j], plan.params[step.weight + j / area],
                            plan.params[step.bias + j / area]);
        break;
      }
      case StepKind::add: {
        const float* in2 = value(step.in2);
        for (std::size_t j = 0; j < out.size(); ++j) out[j] = in[j] + in2[j];
        break;
      }
      case StepKind::window_conv:
        window_conv(step, params, in, out);
        break;
      case StepKind::window_max:
      case StepKind::window_mean:
        window_pool(step, step.kind == StepKind::window_max, in, out);
        break;
      case StepKind::activation:
        for (std::size_t j = 0; j < out.size(); ++j)
          out[j] = device::activate<device::ScalarMath>(step.activation, in[j], step.alpha);
        break;
      case StepKind::prelu: {
        const std::size_t area = out.size() / static_cast<std::size_t>(step.in_shape.channels);
        for (std::size_t j = 0; j < out.size(); ++j)
          out[j] = in[j] < 0 ? in[j] * params[step.weight + j / area] : in[j];
        break;
      }
      case StepKind::softmax:
        softmax(step, in, out);
        break;
      case StepKind::norm:
        norm(step, params, in, out);
        break;
      case StepKind::arithmetic:
        arithmetic(step.arithmetic, in, value(step.in2), out);
        break;
      case StepKind::concat: {
        std::size_t j = 0;
        step.for_each_input([&](int v) {
          const std::size_t size =
              v < 0 ? image.size() : values[static_cast<std::size_t>(v)].size();
          for (std::size_t k = 0; k < size; ++k) out[j++] = value(v)[k];
        });
        break;
      }
      case StepKind::constant:
        for (std::size_t j = 0; j < out.size(); ++j) out[j] = params[step.weight + j];
        break;
    }
  }
  return values;
}

std::vector<float> reference_forward(const InferencePlan& plan, std::span<const float> image) {
  return std::move(reference_activations(plan, image).back());
}

int reference_vote(std::span<const float> logits) {
  int best = 0;
  for (std::size_t c = 0; c < logits.size(); ++c) {
    if (std::isnan(logits[c])) return -1;
    if (logits[c] > logits[static_cast<std::size_t>(best)]) best = static_cast<int>(c);
  }
  return best;
}

}  // namespace smoothcert
