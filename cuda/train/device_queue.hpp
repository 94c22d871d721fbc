// What the trainer needs from a device besides kernels: memory, copies, captured work. One
// implementation is CUDA's, one is the emulator's in the tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cuda/runtime/abi.hpp"

namespace smoothcert::gpu {

class LayerEngine;

/// One device and one stream of it. Everything but wait(), upload() and download() returns at once.
class DeviceQueue {
 public:
  virtual ~DeviceQueue() = default;
  [[nodiscard]] virtual Stream stream() const = 0;
  virtual LayerEngine& engine() = 0;

  virtual void* allocate(std::size_t bytes) = 0;  ///< throws OutOfDeviceMemory
  virtual void release(void* memory) noexcept = 0;
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;
  virtual void zero(void* device, std::size_t bytes) = 0;

  /// Does what `issue` issues on the stream: captured as a graph the first time a key is seen,
  /// replayed afterwards. The key names everything the work depends on.
  virtual void replay(const std::string& key, const std::function<void()>& issue) = 0;
  virtual void forget_captures() = 0;  ///< before memory that captured work uses goes away

  /// Marks the end of the work issued so far; wait() returns once the device has done that work.
  virtual std::uint64_t mark() = 0;
  virtual void wait(std::uint64_t mark) = 0;
  /// Copies to the host without waiting for work issued after the mark that was last waited for.
  /// The caller sees to it that this later work does not write what is copied.
  virtual void download_beside(void* host, const void* device, std::size_t bytes) = 0;
};

/// A typed array in the memory of a DeviceQueue.
template <class T>
class TrainArray {
 public:
  TrainArray() = default;
  TrainArray(DeviceQueue& device, std::size_t count)
      : device_(&device),
        data_(static_cast<T*>(device.allocate((count > 0 ? count : 1) * sizeof(T)))),
        size_(count) {}
  TrainArray(TrainArray&& other) noexcept { *this = std::move(other); }
  TrainArray& operator=(TrainArray&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~TrainArray() {
    if (data_) device_->release(data_);
  }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void upload(std::span<const T> values) {
    device_->upload(data_, values.data(), values.size_bytes());
  }
  void download(std::span<T> values) const {
    device_->download(values.data(), data_, values.size_bytes());
  }
  [[nodiscard]] std::vector<T> download() const {
    std::vector<T> values(size_);
    download(values);
    return values;
  }
  void zero() { device_->zero(data_, size_ * sizeof(T)); }

 private:
  DeviceQueue* device_ = nullptr;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace smoothcert::gpu
