// A DeviceQueue whose memory is the host's: full of NaN when handed out, with guard bands around
// each array.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <vector>

#include "cuda/layers/layer_engine.hpp"
#include "cuda/train/device_queue.hpp"
#include "gpu/device_memory.hpp"

namespace smoothcert::simt_test {

class EmulatedDevice final : public gpu::DeviceQueue {
 public:
  explicit EmulatedDevice(std::size_t memory = ~std::size_t{0})
      : engine_(gpu::emulated::make_direct_engine()), memory_(memory) {}
  ~EmulatedDevice() override {
    if (!arrays_.empty()) std::terminate();  // a leak
  }

  gpu::Stream stream() const override { return nullptr; }
  gpu::LayerEngine& engine() override { return *engine_; }

  void* allocate(std::size_t bytes) override {
    if (used_ + bytes > memory_)
      throw gpu::OutOfDeviceMemory("no room for " + std::to_string(bytes));
    used_ += bytes;
    std::vector<unsigned char> array(bytes + 2 * kGuard, 0xA5);
    std::memset(array.data() + kGuard, 0xFF, bytes);  // NaN
    void* at = array.data() + kGuard;
    arrays_.emplace(at, std::move(array));
    return at;
  }
  void release(void* at) noexcept override {
    check(at);
    used_ -= arrays_.at(at).size() - 2 * kGuard;
    arrays_.erase(at);
  }
  void upload(void* device, const void* host, std::size_t bytes) override {
    inside(device, bytes);
    if (bytes) std::memcpy(device, host, bytes);
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    inside(device, bytes);
    if (bytes) std::memcpy(host, device, bytes);
  }
  void download_beside(void* host, const void* device, std::size_t bytes) override {
    download(host, device, bytes);
  }
  void zero(void* device, std::size_t bytes) override {
    inside(device, bytes);
    std::memset(device, 0, bytes);
  }
  void replay(const std::string& key, const std::function<void()>& issue) override {
    ++replays[key];
    issue();
  }
  void forget_captures() override { replays.clear(); }
  std::uint64_t mark() override { return ++marks; }
  void wait(std::uint64_t mark) override {
    if (mark > marks) throw std::logic_error("waiting for a mark never made");
  }

  std::map<std::string, int> replays;
  std::uint64_t marks = 0;

 private:
  static constexpr std::size_t kGuard = 256;

  void inside(const void* at, std::size_t bytes) const {
    const auto* p = static_cast<const unsigned char*>(at);
    auto found = arrays_.upper_bound(const_cast<void*>(at));
    if (found == arrays_.begin()) throw std::logic_error("not device memory");
    --found;
    const auto* first = static_cast<const unsigned char*>(found->first);
    if (p + bytes > first + found->second.size() - 2 * kGuard) {
      throw std::logic_error("copy beyond a device array");
    }
  }
  void check(void* at) const noexcept {
    const auto& array = arrays_.at(at);
    for (std::size_t i = 0; i < kGuard; ++i) {
      if (array[i] != 0xA5 || array[array.size() - 1 - i] != 0xA5) std::terminate();
    }
  }

  std::unique_ptr<gpu::LayerEngine> engine_;
  std::map<void*, std::vector<unsigned char>> arrays_;
  std::size_t used_ = 0, memory_;
};

}  // namespace smoothcert::simt_test
