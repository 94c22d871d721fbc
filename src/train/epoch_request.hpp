// What a backend reads off the arguments of a call before it trains: whether they fit the network,
// and which images a step takes.
#pragma once

#include <cstddef>
#include <span>

#include "smoothcert/epoch.hpp"
#include "smoothcert/label.hpp"

namespace smoothcert {

/// Throws UsageError for data that do not fit the network, a position in the order that is no image
/// of the data set, a label that is no class of it, a batch size below 1, PGD without a step, and
/// a last batch of one image that leaves BatchNorm a single value per channel.
void check_epoch(const NetworkSpec& spec, const EpochRequest& request);

/// The same for BackendModel::input_gradient: N × CHW pixels and gradients, N labels below the
/// number of classes, N × classes logits or none.
void check_input_gradient(const NetworkSpec& spec, std::span<const float> images,
                          std::span<const Label> labels, std::span<const float> gradient,
                          std::span<const float> logits);

/// An epoch's order cut into batches, the last of which may be short.
class EpochSteps {
 public:
  /// Of a request that check_epoch() passed.
  explicit EpochSteps(const EpochRequest& request);
  [[nodiscard]] std::size_t count() const { return (visits_ + batch_ - 1) / batch_; }
  [[nodiscard]] std::size_t first(std::size_t step) const { return step * batch_; }
  /// Images of a step.
  [[nodiscard]] std::size_t size(std::size_t step) const;
  /// Images of the largest step; 0 for an empty epoch.
  [[nodiscard]] std::size_t largest() const;

 private:
  std::size_t visits_, batch_;
};

}  // namespace smoothcert
