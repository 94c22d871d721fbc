// RAII over the CUDA runtime: device selection, streams, events, memory.
#include "cuda/runtime/context.hpp"

#include <algorithm>
#include <map>
#include <utility>

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
    try {
      if (choose_devices(count).devices.empty())
        reason = count == 1 ? "the GPU is older than compute capability 8.0"
                            : "no GPU of compute capability 8.0 or newer";
    } catch (const Error& error) {
      reason = error.what();
    }
  }
  cudaGetLastError();
  if (reason.empty()) return true;
  if (why) *why = reason;
  return false;
}

DeviceChoice choose_devices(int count) {
  std::vector<cudaDeviceProp> properties(static_cast<std::size_t>(count));
  std::map<std::pair<int, int>, int> multiprocessors;  // by compute capability
  for (int d = 0; d < count; ++d) {
    cudaDeviceProp& p = properties[static_cast<std::size_t>(d)];
    SMOOTHCERT_CUDA(cudaGetDeviceProperties(&p, d));
    if (p.major >= 8) multiprocessors[{p.major, p.minor}] += p.multiProcessorCount;
  }
  const auto most =
      std::ranges::max_element(multiprocessors, {}, [](const auto& group) { return group.second; });
  DeviceChoice choice;
  for (int d = 0; d < count; ++d) {
    const cudaDeviceProp& p = properties[static_cast<std::size_t>(d)];
    if (p.major >= 8 && std::pair{p.major, p.minor} == most->first) {
      choice.devices.push_back(d);
      continue;
    }
    choice.left_out.push_back("device " + std::to_string(d) + " (" + p.name + ", compute " +
                              std::to_string(p.major) + "." + std::to_string(p.minor) +
                              (p.major < 8 ? ": older than 8.0)" : ": unlike the others)"));
  }
  return choice;
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
