// A few samples of a few images: what a run can be expected to find and to cost. No certificate
// rests on them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/dataset.hpp"

namespace smoothcert {

class BackendModel;

/// 128 votes of each of at most 32 of the `indices`, spread over them. The draws are the first ones
/// of the selection stage, which a run will draw again.
std::vector<StageCounts> pilot_votes(BackendModel& model, const Dataset& data,
                                     std::span<const std::uint32_t> indices,
                                     const CertifySettings& settings);

/// Samples that an image of a run with `settings` draws on average, n0 included, where votes go on
/// in the proportions of the pilot's: n0 + n where nothing stops it, or without a pilot. An
/// estimate for a plan: an image that is unanimous so far may not stay so.
double expected_samples(std::span<const StageCounts> pilot, const CertifySettings& settings,
                        const ImageShape& shape);

}  // namespace smoothcert
