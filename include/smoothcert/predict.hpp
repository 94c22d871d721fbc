// PREDICT of Cohen, Rosenfeld, Kolter 2019 (arXiv 1902.02918) over a set of images.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>

#include "smoothcert/certify.hpp"

namespace smoothcert {

/// PREDICT: class of the smoothed classifier or −1, with n samples of purpose `predict`.
struct Prediction {
  std::uint32_t image = 0;
  Label label = 0;
  int prediction = -1;
  double p_value = 1;
  StageCounts counts;
  double seconds = 0;
};
void predict(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> indices,
             const CertifySettings& settings,
             const std::function<void(const Prediction&)>& on_prediction,
             const std::function<void(const CertifyProgress&)>& on_progress,
             std::stop_token stop = {});

}  // namespace smoothcert
