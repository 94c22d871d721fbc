// Settings of the launches that SMOOTHCERT_LAUNCH sends to the emulator, and what they reported.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "engine.hpp"

namespace simt {

struct Emulation {
  unsigned block_threads = 128;
  std::uint64_t seed = 0;
  std::string without_barrier;
  bool check_races = true;
  std::set<std::string> barriers;                 ///< of all launches since the last reset
  std::map<std::string, std::uint64_t> launches;  ///< by kernel
};

/// The current settings; `emulation() = {}` resets them.
inline Emulation& emulation() {
  static Emulation settings;
  return settings;
}

/// Launches under emulation().
inline void emulate(const char* kernel, dim3 grid, dim3 block, std::size_t dynamic_shared,
                    const std::function<void()>& body) {
  Emulation& e = emulation();
  Config config{grid, block, dynamic_shared, e.seed, e.without_barrier, e.check_races};
  ++e.launches[kernel];
  try {
    const Report report = launch(config, body);
    e.barriers.insert(report.barriers.begin(), report.barriers.end());
  } catch (const Error& error) {
    throw Error(std::string(kernel) + ": " + error.what());
  }
}

}  // namespace simt
