// Included by exactly one translation unit per instruction set: defines its table.
#pragma once

#if !defined(__AVX2__)
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors wider than the registers never cross a call
#endif

#include "cpu/lane_attack.hpp"
#include "cpu/lane_backward.hpp"
#include "cpu/lane_batchnorm.hpp"
#include "cpu/lane_general_backward.hpp"
#include "cpu/lane_images.hpp"
#include "cpu/lane_norm_pool.hpp"
#include "cpu/lane_optimizer.hpp"
#include "cpu/lane_weight_gradient.hpp"

#define SMOOTHCERT_JOIN_(a, b) a##b
#define SMOOTHCERT_JOIN(a, b) SMOOTHCERT_JOIN_(a, b)

namespace smoothcert::cpu {

const TrainKernels SMOOTHCERT_JOIN(train_kernels_, SMOOTHCERT_ISA) = {
#if defined(__AVX512F__)
    Isa::avx512,
#elif defined(__AVX2__)
    Isa::avx2,
#else
    Isa::baseline,
#endif
    kLanes,
    load_images,
    add_noise,
    relu_backward,
    maxpool_backward,
    average_backward,
    scale_channels,
    channel_moments,
    norm_backward_sums,
    norm_backward,
    norm_pool,
    norm_pool_sums,
    norm_pool_backward,
    conv_weights,
    channel_sums,
    linear_weights,
    attack_step,
    project,
    adam,
    sgd,
    window_conv_input,
    window_conv_weights,
    window_max_backward,
    window_mean_backward,
    activate_backward,
    prelu_backward,
    prelu_slopes,
    softmax_backward,
    group_norm_backward,
    arithmetic_backward};

}  // namespace smoothcert::cpu
