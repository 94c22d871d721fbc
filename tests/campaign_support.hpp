// A toy problem small enough to certify in milliseconds, and a model that counts what is drawn.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "smoothcert/backend.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert::test {

/// flatten → linear on 1×4×4 images of three classes.
Network toy_network(std::uint64_t seed = 1);
/// Images of noise, labelled by what `network` says of them: the model is always right.
Dataset toy_dataset(const Network& network, std::size_t images = 40);

/// The CPU's votes and logits on one thread, without training; adds up the samples drawn.
class CountingBackend final : public Backend {
 public:
  [[nodiscard]] std::string name() const override { return "cpu"; }
  [[nodiscard]] std::string describe() const override { return "cpu, for tests"; }
  std::unique_ptr<BackendModel> load(const Network& net) override;
  [[nodiscard]] std::uint64_t samples() const { return samples_->load(); }
  void reset() { *samples_ = 0; }

 private:
  std::shared_ptr<std::atomic<std::uint64_t>> samples_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace smoothcert::test
