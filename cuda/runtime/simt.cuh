// What every kernel header includes: nothing but a few macros under nvcc, the SIMT emulator of
// tests/simt under a host compiler. Kernels are the same text for both.
#pragma once

#include <cstdint>

#include "cuda/runtime/abi.hpp"

#if defined(__CUDACC__)

/// A device function that stays one, out of the hot path.
#define SMOOTHCERT_COLD static __device__ __noinline__

/// Before a loop: unrolled whole, so that its arrays stay in registers; or kept a loop.
#define SMOOTHCERT_UNROLL _Pragma("unroll")
#define SMOOTHCERT_LOOP _Pragma("unroll 1")

/// A static shared array: SMOOTHCERT_SHARED(float, tile, 32 * 33);
#define SMOOTHCERT_SHARED(type, name, ...) __shared__ type name[__VA_ARGS__]

/// The launch's dynamic shared memory as an array of `type`.
#define SMOOTHCERT_DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(16) unsigned char smoothcert_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(smoothcert_dynamic_shared)

#else

#include "cuda_builtins.hpp"

#define SMOOTHCERT_COLD static
#define SMOOTHCERT_UNROLL
#define SMOOTHCERT_LOOP

#define SMOOTHCERT_SHARED(type, name, ...) \
  type(&name)[__VA_ARGS__] = simt::detail::shared_array<type[__VA_ARGS__]>({__FILE__, __LINE__})
#define SMOOTHCERT_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(simt::detail::dynamic_shared())

#endif
