// Names of the command line ⇄ the library's settings.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "smoothcert/certificate.hpp"

namespace smoothcert::python {

/// "select", "estimate", "predict".
Purpose purpose_from_name(const std::string& name);

/// From the keywords sigma, n0, n, alpha, seed, noise, clamp, mode, p_b, stop_within, stop_at.
/// Throws UsageError for a value out of range.
CertifySettings settings_from(const nanobind::dict& keywords);
nanobind::dict settings_dict(const CertifySettings& settings);

}  // namespace smoothcert::python
