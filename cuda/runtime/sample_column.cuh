// The values of one sample among many, read by index.
#pragma once

#include <cstddef>

#include "cuda/runtime/abi.hpp"
#include "smoothcert/device/hd.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// One value of one sample per index.
struct SampleColumn {
  const float* base;
  std::size_t stride;
  SMOOTHCERT_HD float operator[](int value) const {
    return base[static_cast<std::size_t>(value) * stride];
  }
};

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
