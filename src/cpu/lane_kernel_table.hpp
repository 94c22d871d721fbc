// Included by exactly one translation unit per instruction set: defines its table.
#pragma once

#if !defined(__AVX2__)
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors wider than the registers never cross a call
#endif

#include "cpu/lane_conv.hpp"
#include "cpu/lane_layers.hpp"
#include "cpu/lane_noise.hpp"
#include "cpu/lane_steps.hpp"
#include "cpu/lane_winograd.hpp"

#define SMOOTHCERT_JOIN_(a, b) a##b
#define SMOOTHCERT_JOIN(a, b) SMOOTHCERT_JOIN_(a, b)

namespace smoothcert::cpu {

const LaneKernels SMOOTHCERT_JOIN(lane_kernels_, SMOOTHCERT_ISA) = {
#if defined(__AVX512F__)
    Isa::avx512,
#elif defined(__AVX2__)
    Isa::avx2,
#else
    Isa::baseline,
#endif
    kLanes,          lattice_noise, gaussian_noise, uniform_noise, split_noise, conv,
    conv_residual,   winograd_conv, maxpool,        relu,          affine,      add,
    global_avg_pool, window_conv,   window_max,     window_mean,   activate,    prelu,
    softmax,         norm,          arithmetic,     fill,          vote};

}  // namespace smoothcert::cpu
