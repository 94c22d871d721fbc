// Floats on a 64-byte boundary, zero at first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace smoothcert::cpu {

class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(std::size_t count) {
    const std::size_t bytes = std::max<std::size_t>((count * sizeof(float) + 63) / 64 * 64, 64);
    memory_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!memory_) throw std::bad_alloc();
    std::fill_n(memory_.get(), bytes / sizeof(float), 0.0f);
  }
  [[nodiscard]] float* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float[], Free> memory_;
};

}  // namespace smoothcert::cpu
