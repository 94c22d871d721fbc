// What a run records of a forward pass that is not ours.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "smoothcert/backend.hpp"

namespace smoothcert {

struct ExternalIdentity {
  /// SHA-256 over the model (or whatever the caller says identifies it): RunSettings::model_hash.
  std::string hash;
  /// Everything that may change a bit of an answer: framework, version, device, dtype, autocast,
  /// tile. One line, and part of a run's identity: the samples of a run come from one classifier.
  std::string precision;
  /// JSON object with the same and more (determinism switches, findings of the check of rows), for
  /// people; no part of the identity.
  std::string record;
};

/// The side of a BackendModel that a caller's forward pass has and our own have not.
class ExternalForward {
 public:
  virtual ~ExternalForward() = default;
  /// Looks at the model with these settings on an image (CHW) before its run is recorded. Throws
  /// what speaks against counting its votes.
  virtual void prepare(const VoteSettings& settings, std::span<const std::uint8_t> pixels) = 0;
  [[nodiscard]] virtual ExternalIdentity identity() const = 0;
  /// Rows of every forward pass.
  [[nodiscard]] virtual std::uint64_t tile() const = 0;
};

}  // namespace smoothcert
