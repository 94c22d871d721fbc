// A base classifier made of one function, on the real noise: what certification is tested with
// where the truth is known in closed form.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::test {

/// The noisy network input of one sample, drawn with the library's leaves.
std::vector<float> noisy_input(const NoiseSpec& noise, const VoteJob& job, std::uint64_t sample,
                               std::size_t pixels);

class FakeModel final : public BackendModel {
 public:
  /// Network input → class, or −1 for "no valid answer" (a NaN logit).
  using Classifier = std::function<int(std::span<const float>)>;

  FakeModel(ImageShape shape, int classes, Classifier classify);

  [[nodiscard]] const NetworkSpec& spec() const override { return spec_; }
  std::unique_ptr<VoteRun> count_votes(const VoteSettings& settings, std::vector<VoteJob> jobs,
                                       std::function<void(const VoteResult&)> on_result) override;
  [[nodiscard]] std::string describe_votes(const VoteSettings&) const override { return "fake"; }

  void upload(const Network&) override { throw Error("not in this fake"); }
  void download(Network&) const override { throw Error("not in this fake"); }
  void upload(const OptimizerState&) override { throw Error("not in this fake"); }
  void download(OptimizerState&) const override { throw Error("not in this fake"); }
  EpochReport train_epoch(const EpochRequest&) override { throw Error("not in this fake"); }
  void forward(std::span<const float>, std::span<float>) override {
    throw Error("not in this fake");
  }
  void input_gradient(std::span<const float>, std::span<const Label>, LossKind, std::span<float>,
                      std::span<float>) override {
    throw Error("not in this fake");
  }

  std::vector<VoteJob> jobs_seen;  ///< everything that was asked for, in order
  bool reverse = false;            ///< count the jobs of a window from the last to the first
  std::function<void(VoteResult&)> tamper;      ///< changes a result before it is reported
  std::function<void(std::size_t)> before_job;  ///< with the number of jobs counted before

 private:
  NetworkSpec spec_;
  Classifier classify_;
  std::size_t jobs_counted_ = 0;
};

/// `images` images of `shape`, all pixels `value`, label 0.
Dataset flat_data(std::size_t images, ImageShape shape, std::uint8_t value, int classes);

std::vector<std::uint32_t> all_of(const Dataset& data);

}  // namespace smoothcert::test
