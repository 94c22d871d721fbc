// Launch of the fused exact kernel.
#include <algorithm>

#include "cuda/runtime/launch.cuh"
#include "cuda/votes/fused_exact_kernel.cuh"
#include "cuda/votes/launch_fused.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

template <bool kLattice>
void launch_exact(Stream stream, const ExactParams& params, unsigned blocks, std::size_t shared) {
  const auto kernel = fused_exact_kernel<kLattice>;
  SMOOTHCERT_ALLOW_SHARED(kernel, shared);
  SMOOTHCERT_LAUNCH(kernel, dim3(blocks), dim3(std::min(block_threads(), 128u)), shared, stream,
                    params);
}

}  // namespace

void count_fused_exact_votes(Stream stream, const ExactProgram& program, const float* weights,
                             const NoiseSpec& noise, const device::LatticeView& table,
                             const FusedBatch& batch, unsigned blocks) {
  ExactParams p{};
  std::copy(std::begin(program.stage), std::end(program.stage), p.stage);
  p.stages = program.stages;
  p.input = program.input;
  p.image_size = program.image_size;
  p.image_area = program.image_area;
  p.classes = program.classes;
  p.logits = program.logits;
  p.sample_floats = program.sample_floats;
  p.samples = program.samples;
  p.weights = weights;
  p.batch = batch;
  p.table = table;
  p.seed = noise.seed;
  p.sigma = static_cast<float>(noise.sigma);
  p.clamp = noise.clamp;
  const std::size_t shared = static_cast<std::size_t>(p.samples) *
                             static_cast<std::size_t>(p.sample_floats) * sizeof(float);
  noise.law == NoiseLaw::lattice ? launch_exact<true>(stream, p, blocks, shared)
                                 : launch_exact<false>(stream, p, blocks, shared);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
