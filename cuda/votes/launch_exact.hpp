// Every launch of exact mode and of vote counting, callable from plain C++. Asynchronous on the
// given stream; pointers are device pointers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/runtime/abi.hpp"
#include "gpu/vote_segment.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/inference_plan.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// The samples of one batch on the device.
struct DeviceSegments {
  const VoteSegment* segments = nullptr;
  std::uint32_t count = 0;
  std::uint32_t samples = 0;
  const std::uint8_t* pixels = nullptr;  ///< one image (CHW) per segment
  int image_size = 0;
};

/// Noisy inputs in [0,1] units: pixel p of sample n at out[p·pixel_pitch + n·sample_pitch]. `table`
/// is read for lattice noise alone.
void add_noise(Stream stream, const DeviceSegments& batch, const NoiseSpec& noise,
               const device::LatticeView& table, float* out, std::size_t pixel_pitch,
               std::size_t sample_pitch);
/// The same, law by law.
void add_lattice_noise(Stream stream, const DeviceSegments& batch, const device::LatticeView& table,
                       std::uint64_t seed, bool clamp, float* out, std::size_t pixel_pitch,
                       std::size_t sample_pitch);
void add_gaussian_noise(Stream stream, const DeviceSegments& batch, float sigma, std::uint64_t seed,
                        bool clamp, float* out, std::size_t pixel_pitch, std::size_t sample_pitch);
void add_uniform_noise(Stream stream, const DeviceSegments& batch, std::uint32_t width,
                       std::uint64_t seed, bool clamp, float* out, std::size_t pixel_pitch,
                       std::size_t sample_pitch);
void add_split_noise(Stream stream, const DeviceSegments& batch, std::uint32_t width,
                     std::uint64_t seed, float* out, std::size_t pixel_pitch,
                     std::size_t sample_pitch);

/// One step of the plan, value-major with `pitch` floats between values. `in2` for add only.
void run_step(Stream stream, const PlanStep& step, const float* params, const float* in,
              const float* in2, float* out, std::uint32_t samples, std::size_t pitch);

/// out[c·out_pitch + r] = in[r·in_pitch + c].
void transpose(Stream stream, const float* in, float* out, std::uint32_t rows,
               std::uint32_t columns, std::size_t in_pitch, std::size_t out_pitch);

/// Adds the votes of a batch to counts ((classes + 1) per segment, the last one invalid samples).
void count_votes(Stream stream, const float* logits, std::size_t value_pitch,
                 std::size_t sample_pitch, int classes, const DeviceSegments& batch,
                 unsigned long long* counts);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
