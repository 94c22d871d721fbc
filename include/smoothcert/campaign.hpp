// Certification that survives: model + data + settings + store. What the store holds is not drawn
// again; what is drawn is stored as it comes.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/certify.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/results.hpp"

namespace smoothcert {

/// What identifies the run of `network` on `data` with these settings, on this backend.
RunSettings make_run_settings(const Network& network, const std::string& model_name,
                              const BackendModel& model, const Dataset& data,
                              const CertifySettings& settings);

struct CertificationRequest {
  const Network& network;  ///< what `model` was loaded with
  std::string model_name;
  const Dataset& data;
  CertifySettings settings;
  std::vector<std::uint32_t> indices;  ///< what this call certifies
  /// Of which `indices` are a shard; merge_stores() calls the rest gaps. Empty: `indices`.
  std::vector<std::uint32_t> all_indices;
};

struct CertificationResult {
  RunInfo run;
  std::vector<Certificate> certificates;  ///< of `indices`, by image index
  std::uint64_t resumed_images = 0;       ///< found finished in the store
  std::uint64_t resumed_samples = 0;      ///< of unfinished images, found in the store
  std::uint64_t derived_images = 0;  ///< from the counts of a run that differs in α or p̄_B only
  std::uint64_t certified_images = 0;  ///< drawn by this call
  /// "resumed 40 of 200 images and 30,000 samples of others; 10 derived from counts of another
  /// alpha or p_B", or "" where nothing was found.
  [[nodiscard]] std::string resumed_line() const;
};

/// Runs certify() for what is missing. Callbacks see new certificates only; progress counts the
/// resumed images as done. On Interrupted, or a failure to store, everything finished so far has
/// been committed where that was possible.
CertificationResult certify_into_store(ResultsStore& store, BackendModel& model,
                                       const CertificationRequest& request,
                                       const CertifyCallbacks& callbacks = {},
                                       std::stop_token stop = {});

/// Draws `images` of a stored run again, with the run's own settings, and says of each whose
/// certificate comes out otherwise than `stored` what differs. The model and data must be the
/// run's.
std::vector<std::string> redraw_differences(BackendModel& model, const Dataset& data,
                                            const RunInfo& run, std::span<const Certificate> stored,
                                            std::span<const std::uint32_t> images,
                                            std::stop_token stop = {});

/// Every run of `store` again at another α, or with another p̄_B, from the counts it holds. Runs
/// that are so already are left alone. Returns the number of certificates added.
std::uint64_t recompute_into_store(ResultsStore& store, const Rederivation& with);

}  // namespace smoothcert
