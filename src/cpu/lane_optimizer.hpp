// Optimiser steps over a run of parameters; the arithmetic is device/updates.hpp.
#pragma once

#include "cpu/train_kernels.hpp"
#include "smoothcert/device/updates.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

void adam(const AdamParameters& s, std::size_t count, const float* grad, float* parameter, float* m,
          float* v) {
  const device::AdamStep step{s.step_size, s.root_scale, s.beta1, s.beta2, s.eps, s.weight_decay};
  for (std::size_t i = 0; i < count; ++i)
    device::adam_update(step, grad[i], parameter[i], m[i], v[i]);
}

void sgd(const SgdParameters& s, std::size_t count, const float* grad, float* parameter,
         float* buffer) {
  const device::SgdStep step{s.learning_rate, s.momentum, s.weight_decay};
  for (std::size_t i = 0; i < count; ++i)
    device::sgd_update(step, grad[i], parameter[i], buffer[i]);
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
