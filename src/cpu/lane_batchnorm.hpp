// BatchNorm in training mode over lanes: the sums over a batch that it needs, and its gradient.
// Sums run in float per lane and in double across lanes and groups.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/train_kernels.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

SMOOTHCERT_HD double sum_of_first(Lanes x, int valid) {
  alignas(64) float lane[kLanes];
  store(lane, x);
  double sum = 0;
  for (int l = 0; l < valid; ++l) sum += double{lane[l]};
  return sum;
}

/// Two passes: squares of the distance from the group's own mean, so that a channel whose mean is
/// large against its spread loses no digits.
void channel_moments(std::size_t channels, std::size_t area, int valid, const float* in,
                     double* moments) {
  const double count = static_cast<double>(area) * valid;
  for (std::size_t c = 0; c < channels; ++c, in += area * kLanes) {
    Lanes sum[4] = {};  // several chains hide the latency of the additions
    for (std::size_t i = 0; i < area; ++i) sum[i % 4] = sum[i % 4] + load(in + i * kLanes);
    const double mean = sum_of_first((sum[0] + sum[1]) + (sum[2] + sum[3]), valid) / count;
    const Lanes centre = broadcast(static_cast<float>(mean));
    Lanes first[2] = {}, second[2] = {};
    for (std::size_t i = 0; i < area; ++i) {
      const Lanes d = load(in + i * kLanes) - centre;
      first[i % 2] = first[i % 2] + d;
      second[i % 2] = fma(d, d, second[i % 2]);
    }
    const double rest = sum_of_first(first[0] + first[1], valid) / count;
    moments[2 * c] = double{static_cast<float>(mean)} + rest;
    moments[2 * c + 1] = sum_of_first(second[0] + second[1], valid) - rest * rest * count;
  }
}

void norm_backward_sums(std::size_t channels, std::size_t area, int valid, const float* mean,
                        const float* in, const float* grad, double* sums) {
  for (std::size_t c = 0; c < channels; ++c) {
    const Lanes m = broadcast(mean[c]);
    Lanes first[2] = {}, second[2] = {};
    for (std::size_t i = 0; i < area; ++i, in += kLanes, grad += kLanes) {
      const Lanes g = load(grad);
      first[i % 2] = first[i % 2] + g;
      second[i % 2] = fma(g, load(in) - m, second[i % 2]);
    }
    sums[2 * c] = sum_of_first(first[0] + first[1], valid);
    sums[2 * c + 1] = sum_of_first(second[0] + second[1], valid);
  }
}

void norm_backward(std::size_t channels, std::size_t area, int valid, const NormBackward* channel,
                   const float* in, const float* grad, float* grad_in) {
  const IntLanes used = (IntLanes)(lane_index() < broadcast(static_cast<std::uint32_t>(valid)));
  for (std::size_t c = 0; c < channels; ++c) {
    const Lanes scale = used ? broadcast(channel[c].scale) : Lanes{};
    const Lanes mean_dy = broadcast(channel[c].mean_dy), mean = broadcast(channel[c].mean);
    const Lanes slope = broadcast(-channel[c].slope);
    for (std::size_t i = 0; i < area; ++i, in += kLanes, grad += kLanes, grad_in += kLanes)
      store(grad_in, scale * fma(slope, load(in) - mean, load(grad) - mean_dy));
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
