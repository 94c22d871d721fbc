// RAII over the CUDA runtime: device selection, streams, events, memory.
#include "cuda/runtime/context.hpp"

namespace smoothcert::gpu {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

bool cuda_usable(std::string* why) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  std::string reason;
  // Without a driver the runtime answers InsufficientDriver, not NoDevice.
  if (status == cudaErrorInsufficientDriver) {
    reason = "no NVIDIA driver, or one older than CUDA " + version_text(CUDART_VERSION) + " needs";
  } else if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    reason = "no CUDA device";
  } else if (status != cudaSuccess) {
    reason = std::string("CUDA: ") + cudaGetErrorString(status);
  } else {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess || properties.major < 8) {
      reason = "the GPU is older than compute capability 8.0";
    }
  }
  cudaGetLastError();
  if (reason.empty()) return true;
  if (why) *why = reason;
  return false;
}

std::string describe_device(int device) {
  cudaDeviceProp p{};
  SMOOTHCERT_CUDA(cudaGetDeviceProperties(&p, device));
  int driver = 0;
  SMOOTHCERT_CUDA(cudaDriverGetVersion(&driver));
  return std::string(p.name) + ", compute " + std::to_string(p.major) + "." +
         std::to_string(p.minor) + ", " + std::to_string(p.totalGlobalMem >> 30) +
         " GiB, driver CUDA " + version_text(driver) + ", runtime " + version_text(CUDART_VERSION);
}

}  // namespace smoothcert::gpu
