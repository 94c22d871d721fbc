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
