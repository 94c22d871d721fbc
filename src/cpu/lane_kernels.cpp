// The hot loops of exact evaluation, compiled once per instruction set (lane_kernels_*.cpp) and
// reached through one table of function pointers each.
#include "cpu/lane_kernels.hpp"

namespace smoothcert::cpu {

const LaneKernels& active_lane_kernels() {
  switch (active_isa()) {
    case Isa::avx512:
      return lane_kernels_avx512;
    case Isa::avx2:
      return lane_kernels_avx2;
    case Isa::baseline:
      break;
  }
  return lane_kernels_baseline;
}

}  // namespace smoothcert::cpu
