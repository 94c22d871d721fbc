// Text forms of what the store keeps: counts, enumerations, and the identity of a run.
#include "store/codec.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "smoothcert/error.hpp"
#include "smoothcert/results.hpp"
#include "util/decimal.hpp"
#include "util/sha256.hpp"

namespace smoothcert {

namespace store {

namespace {

// Above this many classes most counts are zero, and only the others are written.
constexpr std::size_t kMostDenseCounts = 100;

/// Reads "3,0,997" or "\"17\":3,\"404\":997" by calling take(text) for each part.
template <class Take>
bool each_part(std::string_view text, Take&& take) {
  if (text.empty()) return true;
  for (;;) {
    const std::size_t comma = text.find(',');
    if (!take(text.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

bool parse_number(std::string_view text, std::uint64_t& value) {
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && next == end;
}

}  // namespace

std::string counts_text(const std::vector<std::uint64_t>& counts) {
  if (counts.size() <= kMostDenseCounts) return fmt::format("[{}]", fmt::join(counts, ","));
  std::string text;
  for (std::size_t c = 0; c < counts.size(); ++c)
    if (counts[c] > 0) text += fmt::format("{}\"{}\":{}", text.empty() ? "" : ",", c, counts[c]);
  return "{" + text + "}";
}

std::vector<std::uint64_t> parse_counts(std::string_view text, int classes,
                                        const std::string& where) {
  const auto bad = [&](const char* what) {
    return Error(where + ": '" + std::string(text.substr(0, 60)) + "' " + what);
  };
  const auto expected = static_cast<std::size_t>(classes);
  if (text.size() < 2) throw bad("is no list of counts");
  const std::string_view inner = text.substr(1, text.size() - 2);
  std::vector<std::uint64_t> counts;
  if (text.front() == '[' && text.back() == ']') {
    const bool whole = each_part(inner, [&](std::string_view part) {
      std::uint64_t value = 0;
      if (!parse_number(part, value)) return false;
      counts.push_back(value);
      return true;
    });
    if (!whole) throw bad("is no list of counts");
    if (counts.size() != expected) throw bad("does not hold one count for each class");
    return counts;
  }
  if (text.front() != '{' || text.back() != '}') throw bad("is no list of counts");
  counts.resize(expected);
  std::uint64_t next_class = 0;  // classes ascend, so that equal counts are equal text
  const bool whole = each_part(inner, [&](std::string_view part) {
    const std::size_t colon = part.find(':');
    std::uint64_t label = 0, value = 0;
    if (colon == std::string_view::npos || colon < 2 || part.front() != '"' ||
        part[colon - 1] != '"' || !parse_number(part.substr(1, colon - 2), label) ||
        !parse_number(part.substr(colon + 1), value) || label < next_class || label >= expected)
      return false;
    next_class = label + 1;
    counts[label] = value;
    return true;
  });
  if (!whole) throw bad("is no list of counts over the run's classes");
  return counts;
}

std::string stopped_at_text(const CertifySettings& settings) {
  if (!settings.stopped_at) return "";
  return fmt::format("alpha={} p_b={}", shortest_text(settings.stopped_at->alpha),
                     to_name(settings.stopped_at->p_b));
}

std::optional<CertifySettings::StoppedAt> parse_stopped_at(const std::string& text,
                                                           const std::string& where) {
  if (text.empty()) return std::nullopt;
  const std::size_t space = text.find(' ');
  CertifySettings::StoppedAt at;
  if (space != std::string::npos && text.starts_with("alpha=") &&
      text.substr(space).starts_with(" p_b=")) {
    const char* const end = text.data() + space;
    const auto [next, error] = std::from_chars(text.data() + 6, end, at.alpha);
    if (error == std::errc() && next == end) {
      at.p_b = stored_name<SecondBound>(text.substr(space + 5), where);
      return at;
    }
  }
  throw Error(where + ": '" + text + "' says nothing about when images stopped");
}

std::string certificate_text(const Certificate& c) {
  std::string text = fmt::format(
      "image={} label={} selected={} prediction={} radius={} p_lower={} "
      "selection={}+{} estimation={}+{}",
      c.image, c.label, c.selected, c.prediction, shortest_text(c.radius), shortest_text(c.p_lower),
      counts_text(c.selection.counts), c.selection.invalid, counts_text(c.estimation.counts),
      c.estimation.invalid);
  if (c.stop != StopReason::n_max) text += " stop=" + to_name(c.stop);
  return text;
}

std::string chunk_text(const ChunkCounts& c) {
  return fmt::format("image={} stage={} samples={}..{} counts={}+{}", c.image,
                     static_cast<std::uint32_t>(c.stage), c.first, c.last,
                     counts_text(c.counts.counts), c.counts.invalid);
}

std::string checksum(const std::string& run_key, const Certificate& c) {
  return sha256_hex(fmt::format(
      "certificate of run {}: image={} label={} selection={}+{} estimation={}+{} stop={}", run_key,
      c.image, c.label, counts_text(c.selection.counts), c.selection.invalid,
      counts_text(c.estimation.counts), c.estimation.invalid, to_name(c.stop)));
}

std::string checksum(const std::string& run_key, const ChunkCounts& c) {
  return sha256_hex(fmt::format("counts of run {}: {} label={}", run_key, chunk_text(c), c.label));
}

}  // namespace store

std::string stopping_text(const CertifySettings& s) {
  if (!s.sequential) return "";
  std::string text;
  if (s.stopping.rule == StopRule::within)
    text = "stops within " + shortest_text(100 * s.stopping.target) + " %";
  else if (s.stopping.rule == StopRule::at)
    text = "stops at " + shortest_text(s.stopping.target);
  else
    text = "may stop at any n";
  if (s.stopped_at)
    text += fmt::format(" of alpha {}, p_B {}", shortest_text(s.stopped_at->alpha),
                        to_name(s.stopped_at->p_b));
  return text;
}

std::string run_identity(const RunSettings& s) {
  using namespace store;
  const CertifySettings& c = s.certify;
  std::string text = fmt::format(
      "model={} dataset={} shape={}x{}x{} classes={} {}={} n0={} n={} alpha={} seed={} noise={} "
      "clamp={} mode={} precision={} arithmetic={}",
      s.model_hash, s.dataset_hash, s.shape.channels, s.shape.height, s.shape.width, s.classes,
      noise_traits(c.noise).scale, shortest_text(c.sigma), c.n0, c.n, shortest_text(c.alpha),
      c.seed, to_name(c.noise), c.clamp ? 1 : 0, to_name(c.mode), s.precision, s.arithmetic);
  // Not where it is what all runs had before there was a choice: their keys stay.
  if (c.p_b != SecondBound::complement) text += " p_b=" + to_name(c.p_b);
  if (c.mode == Mode::fast) text += " backend=" + s.backend;
  if (c.sequential) {
    text += fmt::format(" rule={} target={} checkpoints={}", to_name(c.stopping.rule),
                        shortest_text(c.stopping.target), kCheckpoints);
    if (c.stopped_at) text += " stopped_at=(" + stopped_at_text(c) + ")";
  }
  if (!s.pixels.empty()) text += " pixels=" + s.pixels;
  return text;
}

std::string run_key(const RunSettings& settings) { return sha256_hex(run_identity(settings)); }

}  // namespace smoothcert
