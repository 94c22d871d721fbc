// One call of a caller's forward pass, and the votes in its answers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "smoothcert/device/layers.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/external_model.hpp"

namespace smoothcert::external {

using Forward = std::variant<LogitsCallback, LabelsCallback>;

/// The answers of one tile.
class TileAnswers {
 public:
  TileAnswers(const Forward& forward, std::size_t rows, int classes)
      : forward_(&forward), rows_(rows), classes_(static_cast<std::size_t>(classes)) {
    if (std::holds_alternative<LogitsCallback>(forward))
      logits_.resize(rows * classes_);
    else
      labels_.resize(rows);
  }

  /// Runs the caller's forward pass. What it leaves unwritten is no answer of the tile before.
  void run(std::span<float> images) {
    if (const auto* logits = std::get_if<LogitsCallback>(forward_)) {
      std::fill(logits_.begin(), logits_.end(), std::nanf(""));
      (*logits)(images, logits_);
    } else {
      std::fill(labels_.begin(), labels_.end(), std::int64_t{-1});
      std::get<LabelsCallback> (*forward_)(images, labels_);
      for (std::size_t row = 0; row < rows_; ++row)
        if (labels_[row] < 0 || labels_[row] >= static_cast<std::int64_t>(classes_))
          throw Error("external model: it answered class " + std::to_string(labels_[row]) +
                      ", its classes are 0 to " + std::to_string(classes_ - 1));
    }
  }

  /// Lowest index of the largest logit, −1 where one of them is NaN.
  [[nodiscard]] int vote(std::size_t row) const {
    if (!labels_.empty()) return static_cast<int>(labels_[row]);
    return device::argmax_or_invalid(logits_.data() + row * classes_, static_cast<int>(classes_));
  }

  /// Bit for bit.
  [[nodiscard]] bool same(std::size_t row, const TileAnswers& other, std::size_t other_row) const {
    if (!labels_.empty()) return labels_[row] == other.labels_[other_row];
    return std::memcmp(logits_.data() + row * classes_, other.logits_.data() + other_row * classes_,
                       classes_ * sizeof(float)) == 0;
  }

  [[nodiscard]] std::span<const float> logits() const { return logits_; }
  [[nodiscard]] std::span<const std::int64_t> labels() const { return labels_; }

 private:
  const Forward* forward_;
  std::size_t rows_, classes_;
  std::vector<float> logits_;
  std::vector<std::int64_t> labels_;
};

}  // namespace smoothcert::external
