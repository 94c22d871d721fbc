// Launches of our own fp16 matrix products, for where cuBLAS is missing.
#include "cuda/runtime/launch.cuh"
#include "cuda/votes/half_linear_kernels.cuh"
#include "cuda/votes/launch_features.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

namespace {

class DirectHalfEngine final : public HalfEngine {
 public:
  std::string describe() const override { return "direct fp16 products"; }
  void multiply(Stream stream, const HalfProduct& product, const std::uint16_t* x,
                const std::uint16_t* weights, float* sums) override {
    const unsigned warps = block_threads() / 32;
    const unsigned tiles =
        static_cast<unsigned>(product.samples) / 16 * (static_cast<unsigned>(product.out) / 8);
    SMOOTHCERT_LAUNCH(half_product_kernel, dim3(blocks_for(tiles, warps)), dim3(block_threads()), 0,
                      stream, product, reinterpret_cast<const std::uint32_t*>(x),
                      reinterpret_cast<const std::uint32_t*>(weights), sums);
  }
};

}  // namespace

std::unique_ptr<HalfEngine> make_direct_half_engine() {
  return std::make_unique<DirectHalfEngine>();
}

void relu_to_halves(Stream stream, const float* sums, const float* bias, int width,
                    std::uint32_t samples, std::uint16_t* out) {
  const unsigned pairs = static_cast<unsigned>(width) / 2;
  const std::size_t count = std::size_t{pairs} * samples;
  SMOOTHCERT_LAUNCH(relu_to_halves_kernel, dim3(blocks_for(count, block_threads())),
                    dim3(block_threads()), 0, stream, reinterpret_cast<const float2*>(sums),
                    reinterpret_cast<const float2*>(bias), pairs, count,
                    reinterpret_cast<std::uint32_t*>(out));
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
