// Fast mode for any network: the plan's layers image-major (NCHW), convolutions and linear layers
// by the engine of the GPU's libraries. Runs on a GPU and, with the direct engine, in the emulator.
#pragma once

#include "cuda/layers/layer_engine.hpp"
#include "cuda/votes/launch_exact.hpp"
#include "cuda/votes/launch_general.hpp"
#include "gpu/value_layout.hpp"
#include "smoothcert/inference_plan.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Runs the plan on `values` (layout.total × tile floats), whose image value holds `tile` images.
/// Returns where the logits are, tile × classes.
const float* run_plan_by_library(Stream stream, LayerEngine& engine, const InferencePlan& plan,
                                 const ValueLayout& layout, const float* params, float* values,
                                 std::uint32_t tile);

/// Counts the votes of a batch of at most `tile` samples into `counts`, which holds zeros. The
/// layers always run on a whole tile, whatever the batch holds: a library may choose another
/// algorithm for another number of images, and a sample's logits must not depend on its batch
/// mates.
void count_library_votes(Stream stream, LayerEngine& engine, const InferencePlan& plan,
                         const ValueLayout& layout, const float* params, const NoiseSpec& noise,
                         const device::LatticeView& table, const DeviceSegments& batch,
                         float* values, std::uint32_t tile, unsigned long long* counts);

/// Lets the engine choose its algorithms for a tile.
void prepare_engine(LayerEngine& engine, const InferencePlan& plan, std::uint32_t tile);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
