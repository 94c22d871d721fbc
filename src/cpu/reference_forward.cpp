// The plan executed as plainly as it can be written: the oracle of exact mode.
#include "cpu/reference_forward.hpp"

#include <cmath>
#include <cstddef>

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
