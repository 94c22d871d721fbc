// Attack steps over lanes: device/updates.hpp with one image per lane.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/train_kernels.hpp"
#include "smoothcert/device/updates.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

struct LaneValues {
  using V = Lanes;
  static SMOOTHCERT_HD V splat(float x) { return broadcast(x); }
  static SMOOTHCERT_HD V select(IntLanes condition, V a, V b) {
    return cpu::select(condition, a, b);
  }
  static SMOOTHCERT_HD V sqrt(V x) { return cpu::sqrt(x); }
};

SMOOTHCERT_HD const Lanes* as_lanes(const float* p) { return reinterpret_cast<const Lanes*>(p); }
SMOOTHCERT_HD Lanes* as_lanes(float* p) { return reinterpret_cast<Lanes*>(p); }

void attack_step(AttackKind kind, std::size_t count, const float* grad, float length, float* x) {
  const Lanes* g = as_lanes(grad);
  Lanes* to = as_lanes(x);
  switch (kind) {
    case AttackKind::fgm_l1:
      return device::normalised_step<LaneValues>(g, count, device::Norm::l1, length, to);
    case AttackKind::fgm_l1_steepest:
      return device::single_pixel_step<LaneValues>(g, count, length, to);
    case AttackKind::fgm_l2:
    case AttackKind::pgd_l2:
      return device::normalised_step<LaneValues>(g, count, device::Norm::l2, length, to);
    case AttackKind::fgm_linf:
    case AttackKind::pgd_linf:
      return device::sign_step<LaneValues>(g, count, length, to);
  }
}

void project(AttackKind kind, std::size_t count, const float* centre, float epsilon, float* x) {
  if (kind == AttackKind::pgd_l2)
    device::project_l2<LaneValues>(as_lanes(centre), count, epsilon, as_lanes(x));
  if (kind == AttackKind::pgd_linf)
    device::project_linf<LaneValues>(as_lanes(centre), count, epsilon, as_lanes(x));
  device::clamp_image<LaneValues>(count, as_lanes(x));
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
