// The hot loops that only training and gradients need, compiled once per instruction set
// (train_kernels_*.cpp) like those of lane_kernels.hpp, whose layouts they share: one image per
// lane, an activation is [channel][row][column][lane].
#include "cpu/train_kernels.hpp"

namespace smoothcert::cpu {

const TrainKernels& active_train_kernels() {
  switch (active_isa()) {
    case Isa::avx512:
      return train_kernels_avx512;
    case Isa::avx2:
      return train_kernels_avx2;
    case Isa::baseline:
      break;
  }
  return train_kernels_baseline;
}

}  // namespace smoothcert::cpu
