// RAII over the CUDA runtime: device selection, streams, events, memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "cuda/runtime/check.hpp"

namespace smoothcert::gpu {

/// Makes a device current for the calling thread and restores the previous one.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    SMOOTHCERT_CUDA(cudaGetDevice(&previous_));
    if (previous_ != device) SMOOTHCERT_CUDA(cudaSetDevice(device));
  }
  ~DeviceScope() { cudaSetDevice(previous_); }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int previous_ = 0;
};

/// A handle that one call creates and another destroys.
template <class Handle, cudaError_t (*destroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_) destroy(handle_);
  }
  [[nodiscard]] Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  Handle handle_ = nullptr;
};

using OwnedStream = Owned<cudaStream_t, cudaStreamDestroy>;
using OwnedEvent = Owned<cudaEvent_t, cudaEventDestroy>;
using OwnedGraph = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;

inline OwnedStream make_stream() {
  cudaStream_t stream = nullptr;
  SMOOTHCERT_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return OwnedStream(stream);
}

inline OwnedEvent make_event() {
  cudaEvent_t event = nullptr;
  SMOOTHCERT_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return OwnedEvent(event);
}

enum class MemoryKind { device, pinned };

/// A typed array in device memory, or in page-locked host memory.
template <class T, MemoryKind kind = MemoryKind::device>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) : size_(count) {
    if (count == 0) return;
    if constexpr (kind == MemoryKind::device) {
      SMOOTHCERT_CUDA(cudaMalloc(&data_, count * sizeof(T)));
    } else {
      SMOOTHCERT_CUDA(cudaMallocHost(&data_, count * sizeof(T)));
    }
  }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (!data_) return;
    if constexpr (kind == MemoryKind::device) {
      cudaFree(data_);
    } else {
      cudaFreeHost(data_);
    }
  }
  [[nodiscard]] T* data() const { return static_cast<T*>(data_); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

template <class T>
using DeviceBuffer = Buffer<T, MemoryKind::device>;
template <class T>
using PinnedBuffer = Buffer<T, MemoryKind::pinned>;

template <class T>
void copy_to_device(T* device, const T* host, std::size_t count, cudaStream_t stream) {
  if (count) {
    SMOOTHCERT_CUDA(
        cudaMemcpyAsync(device, host, count * sizeof(T), cudaMemcpyHostToDevice, stream));
  }
}

template <class T>
void copy_to_host(T* host, const T* device, std::size_t count, cudaStream_t stream) {
  if (count) {
    SMOOTHCERT_CUDA(
        cudaMemcpyAsync(host, device, count * sizeof(T), cudaMemcpyDeviceToHost, stream));
  }
}

/// A new device array with this content; returns when the copy is done.
template <class T>
DeviceBuffer<T> upload(const std::vector<T>& values, cudaStream_t stream) {
  DeviceBuffer<T> buffer(values.size());
  copy_to_device(buffer.data(), values.data(), values.size(), stream);
  SMOOTHCERT_CUDA(cudaStreamSynchronize(stream));
  return buffer;
}

/// CUDA's version numbers as text: 13000 is "13.0".
std::string version_text(int version);

/// Whether any device can be used; the reason why not in one line.
bool cuda_usable(std::string* why);

/// Which of a machine's GPUs work together. They take one path through the kernels and count alike,
/// so all are of one compute capability, 8.0 or newer: the one with the most multiprocessors in
/// sum. Throws Error where a GPU cannot be asked.
struct DeviceChoice {
  std::vector<int> devices;           ///< empty where none can be used
  std::vector<std::string> left_out;  ///< "device 1 (Some GPU, compute 8.6: unlike the others)"
};
DeviceChoice choose_devices(int count);

/// "NVIDIA H200, compute 9.0, 139 GiB, driver 13.0, runtime 13.0".
std::string describe_device(int device);

}  // namespace smoothcert::gpu
