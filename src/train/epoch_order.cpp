// The order in which an epoch visits its images.
#include <utility>

#include "smoothcert/device/philox.hpp"
#include "smoothcert/train.hpp"

namespace smoothcert {
namespace {

/// The words of one epoch's stream, one after the other.
class ShuffleWords {
 public:
  ShuffleWords(std::uint64_t seed, int epoch)
      : seed_(seed), epoch_(static_cast<std::uint32_t>(epoch)) {}

  std::uint32_t next() {
    if (used_ == 4) {
      words_ = device::philox_at(seed_, static_cast<std::uint32_t>(Purpose::shuffle), 0, epoch_,
                                 group_++);
      used_ = 0;
    }
    return words_.v[used_++];
  }

  /// Uniform in [0, range) without bias (Lemire 2019: multiply, and draw again in the short part).
  std::uint32_t below(std::uint32_t range) {
    std::uint64_t product = std::uint64_t{next()} * range;
    const std::uint32_t unfair = (0u - range) % range;
    while (static_cast<std::uint32_t>(product) < unfair) product = std::uint64_t{next()} * range;
    return static_cast<std::uint32_t>(product >> 32);
  }

 private:
  std::uint64_t seed_;
  std::uint32_t epoch_, group_ = 0, used_ = 4;
  device::PhiloxWords words_{};
};

}  // namespace

std::vector<std::uint32_t> epoch_order(std::span<const std::uint32_t> indices, std::uint64_t seed,
                                       int epoch) {
  std::vector<std::uint32_t> order(indices.begin(), indices.end());
  ShuffleWords words(seed, epoch);
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[words.below(static_cast<std::uint32_t>(i))]);
  return order;
}

}  // namespace smoothcert
