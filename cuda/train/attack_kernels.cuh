// Steps of gradient attacks, one warp an image: norms by warp reductions, then the step, the
// projection and the clamp in the same pass over the image.
//
// Formulas and their order per pixel are those of device/updates.hpp; only the order in which an
// image's norm is summed differs.
#pragma once

#include "cuda/runtime/reduce.cuh"
#include "cuda/runtime/simt.cuh"
#include "gpu/epoch_state.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/device/updates.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

enum class StepDirection { l1, l2, sign, single_pixel };
enum class Projection { none, l2, linf };

struct AttackStep {
  StepDirection direction;
  float length;
  Projection projection;
  float radius;  ///< of the ball around the clean image
};

/// Image of the warp, and the warp's lane; false for warps beyond the batch.
__device__ __forceinline__ bool warp_image(std::uint32_t n, std::uint32_t* image,
                                           std::uint32_t* lane) {
  *image = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  *lane = threadIdx.x % 32;
  return *image < n;
}

/// Pulls x back into the ball around `clean`, then into [0, 1].
__device__ __forceinline__ void project_and_clamp(const AttackStep& step, const float* clean,
                                                  std::uint32_t size, std::uint32_t lane,
                                                  float* x) {
  float factor = 1.0f;
  bool outside = false;
  if (step.projection == Projection::l2) {
    float sum = 0.0f;
    for (std::uint32_t p = lane; p < size; p += 32) {
      const float d = x[p] - clean[p];
      sum += d * d;
    }
    const float norm = sqrtf(warp_sum(sum));
    outside = norm > step.radius;
    factor = step.radius / (outside ? norm : 1.0f);
  }
  for (std::uint32_t p = lane; p < size; p += 32) {
    float v = x[p];
    if (step.projection == Projection::l2) {
      v = outside ? clean[p] + factor * (v - clean[p]) : v;
    } else if (step.projection == Projection::linf) {
      const float low = clean[p] - step.radius, high = clean[p] + step.radius;
      v = v < low ? low : v;
      v = v > high ? high : v;
    }
    x[p] = device::clamp01(v);
  }
}

/// x += step along the gradient, projected and clamped. A zero gradient leaves x where it is.
static __global__ void __launch_bounds__(256)
    attack_step_kernel(AttackStep step, const float* __restrict__ gradient,
                       const float* __restrict__ clean, std::uint32_t n, std::uint32_t size,
                       float* __restrict__ images) {
  std::uint32_t image, lane;
  if (!warp_image(n, &image, &lane)) return;
  const float* g = gradient + std::size_t{image} * size;
  float* x = images + std::size_t{image} * size;
  float top = 0.0f;
  for (std::uint32_t p = lane; p < size; p += 32) {
    const float a = device::magnitude<device::ScalarValues>(g[p]);
    top = a > top ? a : top;
  }
  top = warp_max(top);
  if (step.direction == StepDirection::sign) {
    for (std::uint32_t p = lane; p < size; p += 32) {
      x[p] = x[p] + (g[p] > 0.0f ? step.length : (g[p] < 0.0f ? -step.length : 0.0f));
    }
  } else if (step.direction == StepDirection::single_pixel) {
    int first = 0x7fffffff;
    for (std::uint32_t p = lane; p < size; p += 32) {
      if (device::magnitude<device::ScalarValues>(g[p]) == top) {
        first = static_cast<int>(p);
        break;
      }
    }
    first = warp_min(first);
    if (top > 0.0f && static_cast<std::uint32_t>(first) % 32 == lane) {
      x[first] = x[first] + (g[first] < 0.0f ? -step.length : step.length);
    }
  } else {
    const float divisor = top > 0.0f ? top : 1.0f;
    float sum = 0.0f;
    for (std::uint32_t p = lane; p < size; p += 32) {
      const float h = g[p] / divisor;
      sum +=
          step.direction == StepDirection::l2 ? h * h : device::magnitude<device::ScalarValues>(h);
    }
    sum = warp_sum(sum);
    const float norm = step.direction == StepDirection::l2 ? sqrtf(sum) : sum;
    const float factor = top > 0.0f ? step.length / norm : 0.0f;
    for (std::uint32_t p = lane; p < size; p += 32) x[p] = x[p] + factor * (g[p] / divisor);
  }
  project_and_clamp(step, clean + std::size_t{image} * size, size, lane, x);
}

struct StartBall {
  Projection norm;
  float radius;
};

/// Four coordinates of the random direction: uniform in [−1, 1) for L∞, normal for L2.
struct StartGroup {
  float v[4];
};
__device__ __forceinline__ StartGroup start_group(const StartBall& ball, std::uint64_t seed,
                                                  std::uint32_t id, std::uint32_t sample,
                                                  std::uint32_t group) {
  const device::PhiloxWords words =
      device::philox_at(seed, static_cast<std::uint32_t>(Purpose::attack_start), id, sample, group);
  StartGroup d{};
  for (int e = 0; e < 4; ++e) d.v[e] = 2.0f * device::uniform01(words.v[e]) - 1.0f;
  if (ball.norm == Projection::l2) {
    for (int e = 0; e < 4; e += 2) {
      const auto z = device::normal_pair<device::ScalarMath>(words.v[e], words.v[e + 1]);
      d.v[e] = z.first;
      d.v[e + 1] = z.second;
    }
  }
  return d;
}

/// A point drawn uniformly from the ball around each clean image, clamped; one warp an image. The
/// counter is (group, sample, data-set index, attack_start); with a state its seed and, in the
/// place of the sample, its global step: a fresh start every step.
static __global__ void __launch_bounds__(256)
    random_start_kernel(StartBall ball, std::uint64_t seed, std::uint32_t sample,
                        const EpochState* __restrict__ state, const float* __restrict__ clean,
                        const std::uint32_t* __restrict__ ids, std::uint32_t n, std::uint32_t size,
                        float* __restrict__ images) {
  std::uint32_t image, lane;
  if (!warp_image(n, &image, &lane)) return;
  if (state) {
    seed = state->seed;
    sample = state->global_step + state->step;
  }
  const std::uint32_t id = ids[image], groups = (size + 3) / 4;
  float factor = ball.radius;
  if (ball.norm == Projection::l2) {
    float sum = 0.0f;
    for (std::uint32_t group = lane; group < groups; group += 32) {
      const StartGroup d = start_group(ball, seed, id, sample, group);
      for (std::uint32_t e = 0; e < 4 && 4 * group + e < size; ++e) sum += d.v[e] * d.v[e];
    }
    sum = warp_sum(sum);
    // The share of a ball within r of its centre is (r/radius)^size.
    const device::PhiloxWords words = device::philox_at(
        seed, static_cast<std::uint32_t>(Purpose::attack_start), id, sample, groups);
    const double u = device::uniform01(words.v[0]);
    const auto r = static_cast<float>(ball.radius * pow(u, 1.0 / static_cast<double>(size)));
    factor = sum > 0.0f ? r / sqrtf(sum) : 0.0f;
  }
  const float* from = clean + std::size_t{image} * size;
  float* x = images + std::size_t{image} * size;
  for (std::uint32_t group = lane; group < groups; group += 32) {
    const StartGroup d = start_group(ball, seed, id, sample, group);
    for (std::uint32_t e = 0; e < 4; ++e) {
      const std::uint32_t p = 4 * group + e;
      if (p < size) x[p] = device::clamp01(from[p] + factor * d.v[e]);
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
