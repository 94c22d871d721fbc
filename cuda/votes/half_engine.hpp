// Matrix products of halves for the linear layers behind the fused feature kernel: by cuBLAS where
// it is built in, by the project's own kernel elsewhere and as the oracle.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cuda/runtime/abi.hpp"

namespace smoothcert::gpu {

/// sums = scale·x·weightsᵀ: x samples × in and weights out × in in halves, sums samples × out in
/// floats, all row-major. All three sizes are multiples of 16.
struct HalfProduct {
  int samples = 0, in = 0, out = 0;
  float scale = 1;
};

/// Device pointers; asynchronous on the stream; the same call gives the same bits.
class HalfEngine {
 public:
  virtual ~HalfEngine() = default;
  /// "cuBLAS 13.1.0 fp16", "direct fp16 products"
  [[nodiscard]] virtual std::string describe() const = 0;
  virtual void multiply(Stream stream, const HalfProduct& product, const std::uint16_t* x,
                        const std::uint16_t* weights, float* sums) = 0;
};

inline namespace SMOOTHCERT_GPU_ABI {
std::unique_ptr<HalfEngine> make_direct_half_engine();
}  // namespace SMOOTHCERT_GPU_ABI

}  // namespace smoothcert::gpu
