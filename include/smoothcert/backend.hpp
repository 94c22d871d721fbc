// The seam: coarse calls that a backend may fuse as it likes. src/ knows nothing below it, the CPU
// and CUDA backends know nothing above it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/attack_spec.hpp"
#include "smoothcert/epoch.hpp"
#include "smoothcert/label.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert {

/// A running count. Destroying it cancels and waits.
class VoteRun {
 public:
  virtual ~VoteRun() = default;
  virtual void wait() = 0;    ///< until all jobs are reported; rethrows the first failure
  virtual void cancel() = 0;  ///< finished jobs stay reported, others are dropped whole
  [[nodiscard]] virtual std::uint64_t samples_done() const = 0;  ///< for progress, any thread
};

/// One network resident on one device. Not thread-safe; one caller at a time.
class BackendModel {
 public:
  virtual ~BackendModel() = default;

  [[nodiscard]] virtual const NetworkSpec& spec() const = 0;
  virtual void upload(const Network& net) = 0;           ///< same spec
  virtual void download(Network& net) const = 0;         ///< parameters and running statistics
  virtual void upload(const OptimizerState& state) = 0;  ///< empty slots = fresh optimiser
  virtual void download(OptimizerState& state) const = 0;

  virtual EpochReport train_epoch(const EpochRequest& request) = 0;

  /// Logits (N × classes) of N images (N × CHW floats in [0,1]) in evaluation mode, by the exact
  /// plan.
  virtual void forward(std::span<const float> images, std::span<float> logits) = 0;

  /// gradient (N × CHW) = ∂loss/∂x per image (the sum, not the mean, over the batch), evaluation
  /// mode. `logits` may be empty.
  virtual void input_gradient(std::span<const float> images, std::span<const Label> labels,
                              LossKind loss, std::span<float> gradient,
                              std::span<float> logits) = 0;

  /// Starts counting and returns at once. `on_result` is called once per finished job, never
  /// concurrently, from any thread and in any order.
  virtual std::unique_ptr<VoteRun> count_votes(
      const VoteSettings& settings, std::vector<VoteJob> jobs,
      std::function<void(const VoteResult&)> on_result) = 0;

  /// How votes are counted for these settings, for the record: "cpu exact avx512", "cuda fused
  /// fp16".
  [[nodiscard]] virtual std::string describe_votes(const VoteSettings& settings) const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual std::string name() const = 0;      ///< "cpu" or "cuda"
  [[nodiscard]] virtual std::string describe() const = 0;  ///< device, ISA, threads, libraries
  virtual std::unique_ptr<BackendModel> load(const Network& net) = 0;
};

/// threads = 0: all the process may use. Throws UsageError for more than 4096.
std::unique_ptr<Backend> make_cpu_backend(int threads = 0);

/// "auto", "cpu" or "cuda". `note` receives the one line that says what auto chose and why.
std::unique_ptr<Backend> make_backend(const std::string& device, int threads, std::string* note);

/// Defined by the CUDA build, a stub otherwise. nullptr with the reason in `why` when it cannot
/// run.
std::unique_ptr<Backend> make_cuda_backend(std::string* why);

/// Lines for `smoothcert info`: devices and library versions.
std::vector<std::string> describe_cuda();

}  // namespace smoothcert
