// A made-up study with the proportions of a real one, for tests and for looking at the report.
#pragma once

#include <cstdint>

#include "smoothcert/study.hpp"

namespace smoothcert::testing {

/// Three models, `images` certificates each, training curves, attacks, pictures. Deterministic.
/// The certificates are plausible, not computed: no test may take them for results.
StudyResult sample_study(std::uint64_t images = 500);

}  // namespace smoothcert::testing
