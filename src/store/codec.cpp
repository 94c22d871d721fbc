#include "store/codec.hpp"

#include <fmt/format.h>

#include <charconv>

#include "smoothcert/error.hpp"
#include "smoothcert/results.hpp"
#include "util/decimal.hpp"
#include "util/sha256.hpp"

namespace smoothcert {

namespace store {

std::string counts_text(const std::vector<std::uint64_t>& counts) {
  return fmt::format("[{}]", fmt::join(counts, ","));
}

std::vector<std::uint64_t> parse_counts(std::string_view text, const std::string& where) {
  const auto bad = [&] {
    return Error(where + ": '" + std::string(text) + "' is no list of counts");
  };
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') throw bad();
  std::vector<std::uint64_t> counts;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size() - 1;
  while (at < end) {
    std::uint64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || (next < end && *next != ',') || next + 1 == end) throw bad();
    counts.push_back(value);
    at = next + 1;
  }
  return counts;
}

std::string certificate_text(const Certificate& c) {
  return fmt::format(
      "image={} label={} selected={} prediction={} radius={} p_lower={} "
      "selection={}+{} estimation={}+{}",
      c.image, c.label, c.selected, c.prediction, shortest_text(c.radius), shortest_text(c.p_lower),
      counts_text(c.selection.counts), c.selection.invalid, counts_text(c.estimation.counts),
      c.estimation.invalid);
}

std::string chunk_text(const ChunkCounts& c) {
  return fmt::format("image={} stage={} samples={}..{} counts={}+{}", c.image,
                     static_cast<std::uint32_t>(c.stage), c.first, c.last,
                     counts_text(c.counts.counts), c.counts.invalid);
}

}  // namespace store

std::string run_identity(const RunSettings& s) {
  using namespace store;
  const CertifySettings& c = s.certify;
  std::string text = fmt::format(
      "model={} dataset={} shape={}x{}x{} classes={} sigma={} n0={} n={} alpha={} seed={} noise={} "
      "clamp={} mode={} precision={} arithmetic={}",
      s.model_hash, s.dataset_hash, s.shape.channels, s.shape.height, s.shape.width, s.classes,
      shortest_text(c.sigma), c.n0, c.n, shortest_text(c.alpha), c.seed, to_name(c.noise),
      c.clamp ? 1 : 0, to_name(c.mode), s.precision, s.arithmetic);
  // Not where it is what all runs had before there was a choice: their keys stay.
  if (c.p_b != SecondBound::complement) text += " p_b=" + to_name(c.p_b);
  if (c.mode == Mode::fast) text += " backend=" + s.backend;
  return text;
}

std::string run_key(const RunSettings& settings) { return sha256_hex(run_identity(settings)); }

}  // namespace smoothcert
