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

/// Forwards to a model of the CPU backend; adds up the samples of the jobs handed over.
class CountingBackend final : public Backend {
 public:
  CountingBackend();
  [[nodiscard]] std::string name() const override { return inner_->name(); }
  [[nodiscard]] std::string describe() const override { return inner_->describe(); }
  std::unique_ptr<BackendModel> load(const Network& net) override;
  [[nodiscard]] std::uint64_t samples() const { return samples_->load(); }
  void reset() { *samples_ = 0; }

 private:
  std::unique_ptr<Backend> inner_;
  std::shared_ptr<std::atomic<std::uint64_t>> samples_;
};

}  // namespace smoothcert::test
