// The simulated GPUs' memory: every array in pages of its own that only running work may touch.
#pragma once

#include <string>
#include <vector>

namespace simulated {

/// While it lives, this GPU's live arrays can be touched.
class Opened {
 public:
  explicit Opened(int gpu);
  ~Opened();
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  int gpu_;
};

/// Forgets all arrays; returns those that nobody had given back.
std::vector<std::string> clear_memory();

std::size_t memory_in_use();

}  // namespace simulated
