// CERTIFY of Cohen, Rosenfeld, Kolter 2019 (arXiv 1902.02918) over a set of images.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>

#include "smoothcert/certificate.hpp"
#include "smoothcert/dataset.hpp"

namespace smoothcert {

class BackendModel;

struct CertifyProgress {
  std::uint64_t images_done = 0, images_total = 0;
  std::uint64_t samples_done = 0, samples_total = 0;  ///< of this call, without resumed ones
  std::uint64_t samples_saved = 0;  ///< that stopped images did not need; not in samples_total
  double seconds = 0;
};

struct CertifyCallbacks {
  std::function<void(const ChunkCounts&)> on_chunk;         ///< optional, serialised
  std::function<void(const Certificate&)> on_certificate;   ///< serialised, in order of completion
  std::function<void(const CertifyProgress&)> on_progress;  ///< a few times a second
};

/// Certifies `indices` of `data`. `done` are chunks already counted (from the store): they are not
/// drawn again, whatever their cut. Cancelled through `stop`: throws Interrupted after what was
/// finished has been reported.
void certify(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> indices,
             const CertifySettings& settings, std::span<const ChunkCounts> done,
             const CertifyCallbacks& callbacks, std::stop_token stop = {});

}  // namespace smoothcert
