// Is it worth the hours? What a few hundred forward passes tell of a model before it is certified.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert {

class BackendModel;

/// One line about a run that is about to cost time. An error stops the sweep before it starts.
struct Finding {
  enum class Severity { note, warning, error } severity = Severity::note;
  std::string line;
};

/// What can be said of a model before a single certificate: at chance on clean images (of all the
/// data), normalisation that seems to be missing, σ against the training σ, clamping against
/// training, the ceiling radius and the share of a few of the `indices` whose votes are unanimous.
/// Costs a few hundred forward passes.
std::vector<Finding> preflight(const Network& network, const std::string& name, BackendModel& model,
                               const Dataset& data, std::span<const std::uint32_t> indices,
                               const CertifySettings& settings);

}  // namespace smoothcert
