// Host code of the CUDA backend that launches kernels is compiled twice: for the library, and for
// the tests, where the launches run in the SIMT emulator. Two inline namespaces keep the two apart
// in one program.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(SMOOTHCERT_SIMT_EMULATOR)
#define SMOOTHCERT_GPU_ABI emulated
#else
#define SMOOTHCERT_GPU_ABI device_abi
#endif

struct CUstream_st;

namespace smoothcert::gpu {

/// cudaStream_t without CUDA's headers.
using Stream = CUstream_st*;

}  // namespace smoothcert::gpu
