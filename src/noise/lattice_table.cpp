// Builds the alias table of the lattice noise, exactly.
//
// Weights: w_k = ⌊2^64·P(N = k)⌋ for 0 < |k| ≤ K and w_0 = 2^64 − Σ w_k, so the table's law Q takes
// from every k ≠ 0 and gives to k = 0 alone. The total-variation distance to the law P is therefore
// Q(0) − P(0), which is what slack_per_pixel bounds: no sum of small terms to estimate.

#include <boost/math/special_functions/erf.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <sstream>

#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"
#include "util/sha256.hpp"

namespace smoothcert {
namespace {

// 113 bits: 2^64·P(N = k) is known to about 1e-14, and rounding is checked to be unambiguous.
using Real = boost::multiprecision::cpp_bin_float_quad;
using Wide = unsigned __int128;

constexpr int kLargestLog2Columns = 16;
// A table is large enough where its slack is nothing beside the bound's own rounding. Where none
// is, the best one is taken and its slack, which is subtracted, is the price.
constexpr double kSlackPerImage = 1e-11, kLargestSlackPerImage = 1e-6;
constexpr double kLargestSigma = 4;
const Real kTwo64 = ldexp(Real(1), 64);

struct Weights {
  std::vector<std::uint64_t> of_column;  ///< 2^L; column c is the value c − 2^(L−1)
  double slack = 0;
};

/// P(N ≥ k) for k ≥ 1.
Real upper_tail(int k, const Real& s) {
  return boost::math::erfc((Real(k) - Real(0.5)) / (s * sqrt(Real(2)))) / 2;
}

Weights lattice_weights(double sigma, int log2_columns) {
  const Real s = Real(255) * Real(sigma);
  const int columns = 1 << log2_columns, offset = columns / 2;
  Weights weights;
  weights.of_column.assign(static_cast<std::size_t>(columns), 0);
  Wide others = 0;
  Real tail = upper_tail(1, s);
  const Real p0 = 1 - 2 * tail;
  for (int k = 1; k < offset; ++k) {
    const Real next = upper_tail(k + 1, s);
    const Real scaled = (tail - next) * kTwo64;
    const Real whole = floor(scaled), fraction = scaled - whole;
    // Where the floor hangs on the last digits the table would depend on them.
    if (fraction > Real(0) && scaled > Real(1e-6) &&
        (fraction < Real(1e-12) || fraction > 1 - Real(1e-12)))
      throw Error("lattice noise: the weight of " + std::to_string(k) +
                  " cannot be rounded safely; choose a sigma that differs in the last digits");
    const auto weight = static_cast<std::uint64_t>(whole);
    weights.of_column[static_cast<std::size_t>(offset + k)] = weight;
    weights.of_column[static_cast<std::size_t>(offset - k)] = weight;
    others += Wide{2} * weight;
    tail = next;
  }
  if (others == 0) throw UsageError("lattice noise: sigma is too small to move a pixel by 1/255");
  const auto remainder = static_cast<std::uint64_t>((Wide{1} << 64) - others);
  weights.of_column[static_cast<std::size_t>(offset)] = remainder;
  // The relative error of p0 is about 1e-33; 1e-28 covers it, and the last step covers rounding.
  const Real slack = Real(remainder) / kTwo64 - p0 + Real(1e-28);
  weights.slack =
      std::nextafter(static_cast<double>(slack), std::numeric_limits<double>::infinity());
  return weights;
}

/// Vose's construction in integers. Columns below their share (2^(64−L)) wait in one queue, the
/// others in a second, both in ascending order at first; a column that has given away so much that
/// it falls below joins the end of the first. Fixed order: one table a σ.
void build_alias(const std::vector<std::uint64_t>& weights, LatticeTable& table) {
  const int length = table.log2_columns;
  const std::uint64_t share = std::uint64_t{1} << (64 - length);
  const std::size_t columns = weights.size();
  std::vector<std::uint64_t> mass = weights;
  std::deque<std::size_t> below, above;
  for (std::size_t c = 0; c < columns; ++c) (mass[c] < share ? below : above).push_back(c);
  table.hot.resize(columns);
  table.cold.resize(columns);
  const auto set = [&](std::size_t c, std::uint64_t threshold, std::size_t alias) {
    table.hot[c] =
        static_cast<std::uint32_t>(threshold >> 32) << length | static_cast<std::uint32_t>(alias);
    table.cold[c] = static_cast<std::uint32_t>(threshold);
  };
  while (!below.empty()) {
    const std::size_t c = below.front(), giver = above.front();
    below.pop_front();
    set(c, mass[c], giver);
    mass[giver] -= share - mass[c];
    if (mass[giver] < share) {
      above.pop_front();
      below.push_back(giver);
    }
  }
  // Exact integers: what is left holds exactly its share, and is its own alias.
  for (const std::size_t c : above) set(c, share - 1, c);
}

/// Reads the table as the sampler does and compares every value's exact probability.
void check_alias(const LatticeTable& table, const std::vector<std::uint64_t>& weights) {
  const int length = table.log2_columns;
  const Wide share = Wide{1} << (64 - length);
  std::vector<Wide> total(weights.size(), 0);
  Wide sum = 0;
  for (std::size_t c = 0; c < weights.size(); ++c) {
    const Wide threshold = Wide{table.hot[c] >> length} << 32 | table.cold[c];
    total[c] += threshold;
    total[table.hot[c] & ((1u << length) - 1)] += share - threshold;
    sum += weights[c];
  }
  bool equal = sum == Wide{1} << 64;
  for (std::size_t c = 0; c < weights.size(); ++c) equal = equal && total[c] == weights[c];
  if (!equal) throw Error("lattice noise: internal error, the alias table does not add up");
}

std::string hash_words(const LatticeTable& table) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(8 * table.hot.size());
  for (const auto* words : {&table.hot, &table.cold})
    for (const std::uint32_t word : *words)
      for (int shift = 0; shift < 32; shift += 8)
        bytes.push_back(static_cast<std::uint8_t>(word >> shift));
  return sha256_hex(std::span<const std::uint8_t>(bytes));
}

std::shared_ptr<const LatticeTable> build(double sigma, int log2_columns) {
  const Weights weights = lattice_weights(sigma, log2_columns);
  auto table = std::make_shared<LatticeTable>();
  table->sigma = sigma;
  table->log2_columns = log2_columns;
  table->offset = 1 << (log2_columns - 1);
  table->slack_per_pixel = weights.slack;
  build_alias(weights.of_column, *table);
  check_alias(*table, weights.of_column);
  table->sha256 = hash_words(*table);
  return table;
}

/// Tables are a few ten KB and take some ten milliseconds: kept for the life of the process.
std::shared_ptr<const LatticeTable> cached(double sigma, int log2_columns) {
  static std::mutex mutex;
  static std::map<std::pair<double, int>, std::shared_ptr<const LatticeTable>> tables;
  const std::lock_guard lock(mutex);
  auto& table = tables[{sigma, log2_columns}];
  if (!table) table = build(sigma, log2_columns);
  return table;
}

/// The smallest L that holds ±8s. Two of the usual σ take one more: all of their support fits.
int smallest_log2_columns(double sigma) {
  if (sigma == 0.25) return 11;
  if (sigma == 0.5) return 12;
  int length = 4;
  while (length <= kLargestLog2Columns && (1 << (length - 1)) - 1 < 8 * 255 * sigma) ++length;
  return length;
}

}  // namespace

std::shared_ptr<const LatticeTable> make_lattice_table(double sigma, std::size_t pixels) {
  if (!(sigma > 0) || !std::isfinite(sigma)) {
    std::ostringstream message;
    message << "sigma must be positive and finite, not " << sigma;
    throw UsageError(message.str());
  }
  const auto refuse = [&](const std::string& why) {
    std::ostringstream message;
    message << "lattice noise cannot be drawn for sigma " << sigma << " and images of " << pixels
            << " values: " << why << "; or use continuous noise (--noise gaussian)";
    throw UsageError(message.str());
  };
  if (sigma > kLargestSigma) refuse("the largest sigma is 4");
  std::shared_ptr<const LatticeTable> best;
  for (int length = smallest_log2_columns(sigma); length <= kLargestLog2Columns; ++length) {
    auto table = cached(sigma, length);
    if (!best || table->slack_per_pixel < best->slack_per_pixel) best = std::move(table);
    if (static_cast<double>(pixels) * best->slack_per_pixel <= kSlackPerImage) break;
  }
  if (static_cast<double>(pixels) * best->slack_per_pixel > kLargestSlackPerImage)
    refuse("their slack would be above 1e-6; use smaller images");
  return best;
}

}  // namespace smoothcert
