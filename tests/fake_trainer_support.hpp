// A backend that trains by simple arithmetic: parameters, momentum and losses that depend on
// everything that a real epoch depends on, and notes of what it was asked to do.
#pragma once

#include <memory>
#include <vector>

#include "smoothcert/backend.hpp"

namespace smoothcert::test {

class FakeTrainer final : public Backend {
 public:
  [[nodiscard]] std::string name() const override { return "fake"; }
  [[nodiscard]] std::string describe() const override { return description; }
  std::unique_ptr<BackendModel> load(const Network& net) override;

  std::string description = "fake, 1 thread";
  std::vector<std::vector<std::uint32_t>> orders;
  std::vector<double> rates;
  std::vector<std::uint64_t> total_steps;
  int diverge_in_epoch = -1;
};

}  // namespace smoothcert::test
