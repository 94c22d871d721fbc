// The search for an image close to x that the smoothed classifier answers otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>

#include "smoothcert/certificate.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/disproof.hpp"

namespace smoothcert {

class BackendModel;

struct DisproofSettings {
  double alpha = 0.001;               ///< α_d of the test, in (0,1)
  std::uint64_t samples = 10000;      ///< of the test, fresh, in [100, 2^32)
  std::uint64_t vote_samples = 1000;  ///< that judge a candidate during the search, ≥ 100
  std::uint64_t noises = 64;          ///< fixed over the steps of the attack, 1 … 4096
  std::uint64_t steps = 20;           ///< of the attack at one radius, 1 … 10000
  std::uint64_t bisections = 6;       ///< of the radius, 0 … 30
};
/// Throws UsageError naming the field that makes no sense.
void validate(const DisproofSettings& settings);

/// PGD in L2 on −log of the mean probability of A over `noises` fixed draws of the run's own noise
/// (expectation over transformation; Salman et al. 2019, SmoothAdv, as an attack), at radii found
/// by bisection from the certified one to four times it, or to 3σ where that is more; candidates
/// are rounded to 8-bit pixels and judged by votes of the search's own. The nearest candidate is
/// tested once, on fresh samples. Nothing where no candidate is found, which proves nothing. Only
/// for certified images. Throws Interrupted when `stop` is requested, Error where the model has no
/// gradient.
std::optional<Disproof> find_disproof(BackendModel& model, const Dataset& data,
                                      const Certificate& certificate,
                                      const CertifySettings& settings,
                                      const DisproofSettings& disproof, std::stop_token stop = {});

}  // namespace smoothcert
