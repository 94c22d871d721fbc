// The layers beyond those of LeNet and ResNet over lanes: windows of any kind, activations,
// normalisation over channels, arithmetic of two values. The arithmetic is the leaves' of
// smoothcert/device.
#pragma once

#include "cpu/lane_kernels.hpp"
#include "cpu/lane_layers.hpp"
#include "cpu/lane_math.hpp"
#include "cpu/lanes.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

/// acc[o][p] of `Out` channels from `first_out` on at Columns neighbouring outputs, all of whose
/// windows have the taps `tx`, moved by the stride.
template <int Out, int Columns>
void window_tile(const WindowStep& step, int group, int first_out, const device::WindowTaps& ty,
                 const device::WindowTaps& tx, const float* in, Lanes (&acc)[Out][Columns]) {
  const WindowShape& s = step.shape;
  const int channels = s.in_channels / s.groups;
  const auto taps = static_cast<std::size_t>(s.y.kernel * s.x.kernel);
  const std::size_t per_output = static_cast<std::size_t>(channels) * taps;
  const auto width = static_cast<std::size_t>(s.x.in);
  const auto move = static_cast<std::size_t>(s.x.stride) * kLanes;
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Columns; ++p) acc[o][p] = broadcast(step.bias[first_out + o]);
  for (int c = 0; c < channels; ++c) {
    const std::size_t plane =
        static_cast<std::size_t>(group * channels + c) * static_cast<std::size_t>(s.y.in) * width;
    const float* w0 = step.weights + static_cast<std::size_t>(first_out) * per_output +
                      static_cast<std::size_t>(c) * taps;
    for (int ky = 0; ky < ty.count; ++ky) {
      const auto row = static_cast<std::size_t>(ty.first + ky * s.y.dilation);
      const float* x = in + (plane + row * width + static_cast<std::size_t>(tx.first)) * kLanes;
      const float* w = w0 + (ty.skipped + ky) * s.x.kernel + tx.skipped;
      for (int kx = 0; kx < tx.count; ++kx) {
        Lanes v[Columns];
        for (int p = 0; p < Columns; ++p) v[p] = load(x + static_cast<std::size_t>(p) * move);
        for (int o = 0; o < Out; ++o)
          for (int p = 0; p < Columns; ++p)
            acc[o][p] =
                fma(w[static_cast<std::size_t>(o) * per_output + static_cast<std::size_t>(kx)],
                    v[p], acc[o][p]);
        x += static_cast<std::size_t>(s.x.dilation) * kLanes;
      }
    }
  }
}

template <int Out, int Columns>
void window_outputs(const WindowStep& step, int group, int first_out, int y, int x,
                    const device::WindowTaps& ty, const device::WindowTaps& tx, const float* in,
                    float* out) {
  const WindowShape& s = step.shape;
  Lanes acc[Out][Columns];
  window_tile<Out, Columns>(step, group, first_out, ty, tx, in, acc);
  for (int o = 0; o < Out; ++o)
    for (int p = 0; p < Columns; ++p)
      store(out + static_cast<std::size_t>(((first_out + o) * s.y.out + y) * s.x.out + x + p) *
                      kLanes,
            acc[o][p]);
}

/// Rows of `Out` channels; columns in fours where their windows hold all taps.
template <int Out>
__attribute__((noinline)) void window_rows(const WindowStep& step, int group, int first_out,
                                           const float* in, float* out) {
  constexpr int kColumns = Out == 1 ? 4 : 2;
  const WindowShape& s = step.shape;
  for (int y = 0; y < s.y.out; ++y) {
    const device::WindowTaps ty = device::taps_of(s.y, y, false);
    for (int x = 0; x < s.x.out;) {
      const device::WindowTaps tx = device::taps_of(s.x, x, false);
      const bool several = x + kColumns <= s.x.out && tx.count == s.x.kernel &&
                           device::taps_of(s.x, x + kColumns - 1, false).count == s.x.kernel;
      if (several) {
        window_outputs<Out, kColumns>(step, group, first_out, y, x, ty, tx, in, out);
        x += kColumns;
      } else {
        window_outputs<Out, 1>(step, group, first_out, y, x, ty, tx, in, out);
        ++x;
      }
    }
  }
}

void window_conv(const WindowStep& step, const float* in, float* out) {
  const WindowShape& s = step.shape;
  const int outputs = s.out_channels / s.groups;
  for (int group = 0; group < s.groups; ++group) {
    int o = 0;
    for (; o + 4 <= outputs; o += 4) window_rows<4>(step, group, group * outputs + o, in, out);
    for (; o < outputs; ++o) window_rows<1>(step, group, group * outputs + o, in, out);
  }
}

/// f(value number within the plane) for each tap of the window.
template <class F>
SMOOTHCERT_HD void each_tap(const WindowShape& s, const device::WindowTaps& ty,
                            const device::WindowTaps& tx, const F& f) {
  for (int ky = 0; ky < ty.count; ++ky)
    for (int kx = 0; kx < tx.count; ++kx)
      f(static_cast<std::size_t>(ty.first + ky * s.y.dilation) * static_cast<std::size_t>(s.x.in) +
        static_cast<std::size_t>(tx.first + kx * s.x.dilation));
}

void window_max(const WindowShape& s, const float* in, float* out) {
  const std::size_t plane = static_cast<std::size_t>(s.y.in) * static_cast<std::size_t>(s.x.in);
  for (int c = 0; c < s.out_channels; ++c, in += plane * kStep)
    for (int y = 0; y < s.y.out; ++y)
      for (int x = 0; x < s.x.out; ++x, out += kStep) {
        Lanes best = broadcast(-__builtin_inff());
        each_tap(s, device::taps_of(s.y, y, s.adaptive), device::taps_of(s.x, x, s.adaptive),
                 [&](std::size_t at) { best = larger_or_nan(best, load(in + at * kStep)); });
        store(out, best);
      }
}

void window_mean(const WindowShape& s, const float* in, float* out) {
  const std::size_t plane = static_cast<std::size_t>(s.y.in) * static_cast<std::size_t>(s.x.in);
  for (int c = 0; c < s.out_channels; ++c, in += plane * kStep)
    for (int y = 0; y < s.y.out; ++y)
      for (int x = 0; x < s.x.out; ++x, out += kStep) {
        const device::WindowTaps ty = device::taps_of(s.y, y, s.adaptive);
        const device::WindowTaps tx = device::taps_of(s.x, x, s.adaptive);
        Lanes sum{};
        each_tap(s, ty, tx, [&](std::size_t at) { sum = sum + load(in + at * kStep); });
        store(out, sum * broadcast(device::mean_share(s, ty, tx)));
      }
}

template <Activation kind>
void activate_all(float alpha, std::size_t count, const float* in, float* out) {
  for (std::size_t i = 0; i < count; ++i)
    store(out + i * kStep, device::activate<LaneMath>(kind, load(in + i * kStep), alpha));
}

void activate(Activation kind, float alpha, std::size_t count, const float* in, float* out) {
  switch (kind) {
    case Activation::leaky_relu:
      return activate_all<Activation::leaky_relu>(alpha, count, in, out);
    case Activation::relu6:
      return activate_all<Activation::relu6>(alpha, count, in, out);
    case Activation::elu:
      return activate_all<Activation::elu>(alpha, count, in, out);
    case Activation::silu:
      return activate_all<Activation::silu>(alpha, count, in, out);
    case Activation::sigmoid:
      return activate_all<Activation::sigmoid>(alpha, count, in, out);
    case Activation::tanh:
      return activate_all<Activation::tanh>(alpha, count, in, out);
    case Activation::gelu:
      return activate_all<Activation::gelu>(alpha, count, in, out);
    case Activation::gelu_tanh:
      return activate_all<Activation::gelu_tanh>(alpha, count, in, out);
    case Activation::hardswish:
      return activate_all<Activation::hardswish>(alpha, count, in, out);
  }
}

void prelu(std::size_t channels, std::size_t area, const float* slopes, const float* in,
           float* out) {
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = c * area; i < (c + 1) * area; ++i)
      store(out + i * kStep,
            device::leaky_relu<LaneMath>(load(in + i * kStep), broadcast(slopes[c])));
}

void softmax(std::size_t channels, std::size_t area, const float* in, float* out) {
  for (std::size_t i = 0; i < area; ++i) {
    const auto at = [&](std::size_t c) { return (c * area + i) * kStep; };
    Lanes top = load(in + at(0)), sum{};
    for (std::size_t c = 1; c < channels; ++c) top = larger_or_nan(top, load(in + at(c)));
    for (std::size_t c = 0; c < channels; ++c) {
      const Lanes e = device::exp_nonpositive<LaneMath>(load(in + at(c)) - top);
      store(out + at(c), e);
      sum = sum + e;
    }
    for (std::size_t c = 0; c < channels; ++c) store(out + at(c), load(out + at(c)) / sum);
  }
}

void norm(const NormStep& s, const float* in, float* out) {
  const std::size_t count = s.channels / s.groups * s.area;
  const Lanes share = broadcast(1.0f / static_cast<float>(count));
  for (std::size_t first = 0; first < s.channels * s.area; first += count) {
    Lanes sum{}, squares{};
    for (std::size_t i = first; i < first + count; ++i) sum = sum + load(in + i * kStep);
    const Lanes mean = sum * share;
    for (std::size_t i = first; i < first + count; ++i) {
      const Lanes d = load(in + i * kStep) - mean;
      squares = fma(d, d, squares);
    }
    const Lanes inverse = broadcast(1.0f) / sqrt(squares * share + broadcast(s.eps));
    for (std::size_t i = first; i < first + count; ++i) {
      const std::size_t parameter = s.value_weights ? i : i / s.area;
      store(out + i * kStep, fma((load(in + i * kStep) - mean) * inverse,
                                 broadcast(s.scale[parameter]), broadcast(s.shift[parameter])));
    }
  }
}

void arithmetic(const ArithmeticShape& s, const float* a, const float* b, float* out) {
  for (int c = 0; c < s.channels; ++c)
    for (int y = 0; y < s.height; ++y)
      for (int x = 0; x < s.width; ++x, out += kStep)
        store(out,
              device::combine(s.kind, load(a + static_cast<std::size_t>(s.a.at(c, y, x)) * kStep),
                              load(b + static_cast<std::size_t>(s.b.at(c, y, x)) * kStep)));
}

void fill(std::size_t count, const float* values, float* out) {
  for (std::size_t i = 0; i < count; ++i) store(out + i * kStep, broadcast(values[i]));
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
