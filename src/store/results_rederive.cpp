// Radii at another α, or of another p̄_B, from the counts that were stored. Nothing is resampled.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>

#include "smoothcert/error.hpp"
#include "smoothcert/norm_radius.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/version.hpp"

namespace smoothcert {

CertifySettings Rederivation::of(CertifySettings settings) const {
  if (noise_traits(settings.noise).kind == CertificateKind::exact) return settings;
  // A sequential run's images stopped where its own bounds said so: derived with other ones it is
  // another run, whose counts are not those it would have stopped with.
  if (settings.sequential && !settings.stopped_at)
    settings.stopped_at = CertifySettings::StoppedAt{settings.alpha, settings.p_b};
  settings.alpha = alpha.value_or(settings.alpha);
  settings.p_b = p_b.value_or(settings.p_b);
  if (settings.stopped_at == CertifySettings::StoppedAt{settings.alpha, settings.p_b})
    settings.stopped_at.reset();
  return settings;
}

double radius_in_norm(double l2_radius, Norm norm, std::size_t pixels) {
  if (norm != Norm::linf || l2_radius <= 0) return l2_radius;
  return lp_radius(l2_radius, std::numeric_limits<double>::infinity(), pixels);
}

std::vector<Certificate> interrupted_certificates(const RunInfo& run,
                                                  const std::vector<ChunkCounts>& chunks) {
  const CertifySettings& s = run.settings.certify;
  std::vector<Certificate> certificates;
  if (!s.sequential || run.settings.arithmetic != kArithmetic) return certificates;
  struct Sums {
    StageCounts stage[2];
    std::uint64_t reached[2] = {0, 0};  // samples from 0 on without a gap
    int label = -1;
  };
  std::map<std::uint32_t, Sums> images;
  for (const ChunkCounts& chunk : chunks) {  // by image, stage and first sample
    Sums& sums = images[chunk.image];
    const std::size_t stage = chunk.stage == Purpose::select ? 0 : 1;
    if (chunk.first != sums.reached[stage]) continue;
    add_counts(sums.stage[stage], chunk.counts);
    sums.reached[stage] = chunk.last;
    if (chunk.label >= 0) sums.label = chunk.label;
  }
  const BoundSettings bounds = bound_settings(s, run.settings.shape);
  for (const auto& [image, sums] : images) {
    if (sums.reached[0] != s.n0 || sums.reached[1] == 0 || sums.label < 0) continue;
    certificates.push_back(make_certificate(image, static_cast<Label>(sums.label), sums.stage[0],
                                            sums.stage[1], bounds));
    certificates.back().stop = StopReason::interrupted;
  }
  return certificates;
}

std::vector<Certificate> rederive(const RunInfo& run, const std::vector<Certificate>& stored,
                                  const Rederivation& with) {
  const RunSettings& s = run.settings;
  if (s.arithmetic != kArithmetic) {
    throw Error(
        fmt::format("a run of arithmetic '{}' cannot be derived again by this smoothcert "
                    "({}), whose noise and arithmetic are '{}'",
                    s.arithmetic, kVersion, kArithmetic));
  }
  const CertifySettings at = with.of(s.certify);
  validate(at);
  const BoundSettings bounds = bound_settings(at, s.shape);
  std::vector<Certificate> derived;
  derived.reserve(stored.size());
  for (const Certificate& c : stored) {
    if (c.selection.counts.empty() || c.estimation.counts.empty()) {
      throw Error(
          fmt::format("image {} has no counts to derive from (an imported result?)", c.image));
    }
    derived.push_back(make_certificate(c.image, c.label, c.selection, c.estimation, bounds));
    derived.back().seconds = c.seconds;
    derived.back().stop = c.stop;
  }
  return derived;
}

}  // namespace smoothcert
