// The checks that every stored row passes before anything is made of it.
#include "store/row_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "smoothcert/error.hpp"
#include "smoothcert/statistics.hpp"
#include "smoothcert/version.hpp"
#include "store/codec.hpp"
#include "util/decimal.hpp"

namespace smoothcert::store {

namespace {

// Boost's incomplete beta may differ in its last digits between releases; a lie is larger.
constexpr double kTolerance = 1e-9;

bool alike(double stored, double derived) {
  return std::abs(stored - derived) <= kTolerance * std::max(std::abs(stored), std::abs(derived));
}

std::uint64_t votes(const StageCounts& stage) { return votes_in(stage.counts, stage.invalid); }

std::string sum_fault(const char* stage, const StageCounts& counts, std::uint64_t samples) {
  // A single count above the total may have wrapped the sum round.
  for (const std::uint64_t count : counts.counts)
    if (count > samples || counts.invalid > samples)
      return fmt::format("one of its {} counts is larger than its {} samples", stage, samples);
  if (votes(counts) == samples) return "";
  return fmt::format("its {} counts add up to {}, not to its {} samples", stage, votes(counts),
                     samples);
}

}  // namespace

std::string run_fault(const RunInfo& run, std::string_view soundness) {
  if (run_key(run.settings) != run.key)
    return "its key is not that of its settings: one of them was changed";
  const auto expected = to_name(soundness_of(run.settings));
  if (soundness != expected)
    return fmt::format("its soundness class is '{}', its noise and mode make it '{}'", soundness,
                       expected);
  return "";
}

RowCheck::RowCheck(const RunInfo& run, const std::string& bound, bool checksums)
    : run_(run), compare_(bound == kBound), checksums_(checksums) {}

Certificate RowCheck::derived(const Certificate& c) {
  if (!bounds_) bounds_ = bound_settings(run_.settings.certify, run_.settings.shape);
  return make_certificate(c.image, c.label, c.selection, c.estimation, *bounds_);
}

std::string RowCheck::samples_fault(const Certificate& c) const {
  const CertifySettings& s = run_.settings.certify;
  if (!s.sequential) {
    if (c.stop != StopReason::n_max) return "it stopped early in a run whose n was fixed";
    return sum_fault("estimation", c.estimation, s.n);
  }
  const std::uint64_t samples = votes(c.estimation);
  if (std::string bad = sum_fault("estimation", c.estimation, samples); !bad.empty()) return bad;
  if (!std::ranges::binary_search(checkpoints(s.n), samples))
    return fmt::format("it stopped after {} samples, which is no checkpoint of its run", samples);
  const auto reason = stops_here(c.selection, c.estimation, s, run_.settings.shape);
  if (reason == c.stop) return "";
  return fmt::format("it stopped because of '{}', its counts say '{}'", to_name(c.stop),
                     reason ? to_name(*reason) : "go on");
}

std::string RowCheck::fault(Certificate& c, std::string_view sum) {
  const CertifySettings& s = run_.settings.certify;
  if (std::string bad = sum_fault("selection", c.selection, s.n0); !bad.empty()) return bad;
  if (std::string bad = samples_fault(c); !bad.empty()) return bad;
  if (c.label >= run_.settings.classes)
    return fmt::format("label {} is none of the run's {} classes", c.label, run_.settings.classes);
  if (checksums_ && sum != checksum(run_.key, c))
    return "its checksum is not its own: image, label, counts or reason to stop were changed";
  const Certificate right = derived(c);
  if (c.selected != right.selected)
    return fmt::format("selected is {}, its selection counts say {}", c.selected, right.selected);
  if (!(c.radius >= 0) || !std::isfinite(c.radius) || !(c.p_lower >= 0 && c.p_lower <= 1))
    return fmt::format("radius {} or p_lower {} is out of range", shortest_text(c.radius),
                       shortest_text(c.p_lower));
  if (!(c.seconds >= 0)) return fmt::format("its time is {} s", shortest_text(c.seconds));
  if (!compare_) {
    // Formulas have changed in the eighth digit at most: what exceeds that was never derived.
    constexpr double kFormulaTolerance = 1e-6;
    if (c.radius > right.radius * (1 + kFormulaTolerance) + 1e-12)
      return fmt::format("radius is {}, its counts say {}", shortest_text(c.radius),
                         shortest_text(right.radius));
    c.radius = right.radius;
    c.p_lower = right.p_lower;
    c.prediction = right.prediction;
    return "";
  }
  if (c.prediction != right.prediction)
    return fmt::format("prediction is {}, its counts say {}", c.prediction, right.prediction);
  if (!alike(c.radius, right.radius))
    return fmt::format("radius is {}, its counts say {}", shortest_text(c.radius),
                       shortest_text(right.radius));
  if (!alike(c.p_lower, right.p_lower))
    return fmt::format("p_lower is {}, its counts say {}", shortest_text(c.p_lower),
                       shortest_text(right.p_lower));
  return "";
}

std::string RowCheck::fault(const ChunkCounts& c, std::string_view sum) const {
  const bool select = c.stage == Purpose::select;
  if (!select && c.stage != Purpose::estimate)
    return fmt::format("stage {} is no stage of CERTIFY", static_cast<std::uint32_t>(c.stage));
  const std::uint64_t total = select ? run_.settings.certify.n0 : run_.settings.certify.n;
  if (c.first >= c.last || c.last > total)
    return fmt::format("samples {}..{} are not among the run's {}", c.first, c.last, total);
  if (std::string bad = sum_fault(select ? "selection" : "estimation", c.counts, c.last - c.first);
      !bad.empty())
    return bad;
  if (checksums_ && sum != checksum(run_.key, c))
    return "its checksum is not its own: image, stage, samples, label or counts were changed";
  return "";
}

}  // namespace smoothcert::store
