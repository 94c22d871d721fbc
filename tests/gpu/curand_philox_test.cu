// cuRAND's device-side Philox4x32-10 yields the words of include/smoothcert/device/philox.hpp: one
// test body, on the host and, where there is a GPU, on the device.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#define QUALIFIERS static __forceinline__ __host__ __device__
#include <curand_philox4x32_x.h>

#include <cstdlib>
#include <string>

#include "smoothcert/device/philox.hpp"

namespace smoothcert {
namespace {

/// Whether both agree on the n-th of some counters and keys; 0 and all ones are among them.
__host__ __device__ bool agree(unsigned n) {
  const unsigned v = n == 1 ? 0xffffffffu : n * 0x9E3779B9u;
  const uint4 counter{v, v * 3, v ^ 0x55555555u * (n > 1), v + (n > 1)};
  const uint2 key{v * 5, v * 7};
  const uint4 a = curand_Philox4x32_10(counter, key);
  const device::PhiloxWords b = device::philox4x32_10(
      device::PhiloxWords{{counter.x, counter.y, counter.z, counter.w}}, key.x, key.y);
  return a.x == b.v[0] && a.y == b.v[1] && a.z == b.v[2] && a.w == b.v[3];
}

constexpr unsigned kDraws = 1 << 16;

__global__ void count_agreements(unsigned* count) {
  const unsigned n = blockIdx.x * blockDim.x + threadIdx.x;
  if (n < kDraws && agree(n)) atomicAdd(count, 1u);
}

TEST(CurandPhilox, HostWordsAreOurs) {
  for (unsigned n = 0; n < kDraws; ++n) ASSERT_TRUE(agree(n)) << n;
}

TEST(CurandPhilox, DeviceWordsAreOurs) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    const char* required = std::getenv("SMOOTHCERT_REQUIRE_GPU");
    if (required && std::string(required) == "1") FAIL() << "a GPU is required";
    GTEST_SKIP() << "no CUDA device";
  }
  unsigned* count = nullptr;
  ASSERT_EQ(cudaMalloc(&count, sizeof *count), cudaSuccess);
  ASSERT_EQ(cudaMemset(count, 0, sizeof *count), cudaSuccess);
  count_agreements<<<kDraws / 256, 256>>>(count);
  unsigned agreements = 0;
  ASSERT_EQ(cudaMemcpy(&agreements, count, sizeof agreements, cudaMemcpyDeviceToHost), cudaSuccess);
  cudaFree(count);
  EXPECT_EQ(agreements, kDraws);
}

}  // namespace
}  // namespace smoothcert
