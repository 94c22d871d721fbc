// Any classifier behind the seam: our noise, our votes, and a caller's forward pass between them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/external_identity.hpp"

namespace smoothcert {

class ThreadPool;

/// Called with one whole tile: `images` is tile × CHW floats (units of [0,1] pixels, beyond them
/// where noise is not clamped), to be answered row by row. The images may be overwritten; they lie
/// in one buffer (ExternalModel::tile_buffer()) and are another tile's after the call. Calls come
/// one at a time, from a thread of the run or from where `run_on` puts them. What a callback throws
/// ends the run and is rethrown to its caller.
using LogitsCallback = std::function<void(std::span<float> images, std::span<float> logits)>;
/// The same for models that name a class, 0 … classes − 1, and have no logits.
using LabelsCallback = std::function<void(std::span<float> images, std::span<std::int64_t> labels)>;
/// ∂loss/∂x of `labels.size()` images, at most a tile, as BackendModel::input_gradient() has it:
/// evaluation mode, the sum over the images. `logits` are to be written too.
using GradientCallback =
    std::function<void(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                       std::span<float> gradient, std::span<float> logits)>;

struct ExternalModelSettings {
  std::string name;
  ImageShape input;
  int classes = 0;
  int tile = 256;  ///< rows of every call, 1 … 2^20; short batches are filled up, uncounted
  ExternalIdentity identity;  ///< `record` is extended by the tile and what the check found
  /// A sample's answer may depend on the samples it shares a tile with (batch statistics, say). The
  /// certificate then says nothing about single inputs; recorded.
  bool allow_batch_dependence = false;
  int threads = 0;            ///< for the noise; 0: all the process may use
  GradientCallback gradient;  ///< may be empty: attacks then refuse the model
  /// Runs a task, some tenths of a second of noise and forward passes, on a thread of the caller's
  /// choice and returns when it is done; rethrows what it throws. Empty: on the thread that asks.
  std::function<void(const std::function<void()>& task)> run_on;
};

/// What the check of rows found.
struct RowFindings {
  bool batch_dependent = false;     ///< a row's answer changes with the other rows
  bool position_dependent = false;  ///< one sample, answered otherwise in another row
  double seconds_per_tile = 0;      ///< of the forward pass alone, the quickest
  double noise_seconds_per_tile = 0;
};

/// Votes of a caller's forward pass. Cannot train, and has gradients only where the caller gives
/// them.
///
/// A vote is the lowest index of the largest logit; a sample with a NaN logit votes for nobody.
/// Where rows depend neither on their position nor on one another, samples fill tiles as they come;
/// otherwise sample s sits in row s mod tile, among the other samples of its tile whether those are
/// counted or not, so that counts are a function of the sample index whatever was cut, resumed or
/// sharded.
class ExternalModel final : public BackendModel, public ExternalForward {
 public:
  /// Throws UsageError: no name or hash, classes, tile, threads or shape out of range.
  ExternalModel(ExternalModelSettings settings,
                std::variant<LogitsCallback, LabelsCallback> forward);
  ~ExternalModel() override;

  /// The check before the first votes, on samples of their own of one image:
  ///  (a) row r held, all others refilled twice: the answers of r are bit-equal, or Error unless
  ///      `allow_batch_dependence`;
  ///  (b) the same tile twice gives the same answers, or Error;
  ///  (c) one sample in all rows: a difference is position dependence, which is noted.
  /// count_votes() does it by itself where nobody has; later calls return what was found.
  const RowFindings& check_rows(const VoteSettings& settings, std::span<const std::uint8_t> pixels);

  void prepare(const VoteSettings& settings, std::span<const std::uint8_t> pixels) override;
  [[nodiscard]] ExternalIdentity identity() const override;
  [[nodiscard]] std::uint64_t tile() const override;
  /// What every call gets: hold it to keep the images of a call valid for longer than the model.
  [[nodiscard]] std::shared_ptr<std::vector<float>> tile_buffer() const { return tile_; }

  [[nodiscard]] const NetworkSpec& spec() const override { return spec_; }
  /// In tiles as well. Of a model that names classes: 1 for the class named, 0 for others.
  void forward(std::span<const float> images, std::span<float> logits) override;
  /// Throws UsageError unless settings.mode is Mode::external.
  std::unique_ptr<VoteRun> count_votes(const VoteSettings& settings, std::vector<VoteJob> jobs,
                                       std::function<void(const VoteResult&)> on_result) override;
  /// The identity's `precision`.
  [[nodiscard]] std::string describe_votes(const VoteSettings&) const override;

  // What a caller's forward pass cannot do: each throws UsageError.
  void upload(const Network& net) override;
  void download(Network& net) const override;
  void upload(const OptimizerState& state) override;
  void download(OptimizerState& state) const override;
  EpochReport train_epoch(const EpochRequest& request) override;
  /// The caller's, a tile at a time; UsageError without one.
  void input_gradient(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                      std::span<float> gradient, std::span<float> logits) override;

 private:
  void on(const std::function<void()>& task) const;

  ExternalModelSettings settings_;
  NetworkSpec spec_;
  std::variant<LogitsCallback, LabelsCallback> forward_;
  std::unique_ptr<ThreadPool> pool_;
  std::shared_ptr<std::vector<float>> tile_;
  bool checked_ = false;
  RowFindings findings_;
};

}  // namespace smoothcert
