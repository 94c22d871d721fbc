// Portability of the per-thread leaves: host, CUDA device, SIMT emulator, and several host
// instruction sets in one program.
#pragma once

#if defined(__CUDACC__)
#define SMOOTHCERT_HD __host__ __device__ __forceinline__
#else
#define SMOOTHCERT_HD inline __attribute__((always_inline))
#endif

// The CPU engine compiles the same leaves once per instruction set. Giving each such translation
// unit its own inline namespace keeps the linker from merging, say, an AVX-512 copy of an inline
// function into baseline code, where it would be an illegal instruction.
#if !defined(SMOOTHCERT_ISA)
#define SMOOTHCERT_ISA generic
#endif
