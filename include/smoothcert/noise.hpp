// Which noise a smoothed classifier adds, and the table the lattice law is drawn from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "smoothcert/names.hpp"

namespace smoothcert {

enum class NoiseLaw {
  lattice,   ///< rounded Gaussian on the 1/255 lattice: sound as executed (default)
  gaussian,  ///< continuous Gaussian in float32: sound in real arithmetic only
};
template <>
struct Names<NoiseLaw> {
  static constexpr const char* kWhat = "noise law";
  static constexpr NamedValue<NoiseLaw> kValues[] = {{NoiseLaw::lattice, "lattice"},
                                                     {NoiseLaw::gaussian, "gaussian"}};
};

/// The σ that noise of this law is drawn with, and therefore the σ that enters radii: continuous
/// noise multiplies by a 32-bit number, the lattice table holds σ itself.
inline double drawn_sigma(NoiseLaw law, double sigma) {
  return law == NoiseLaw::gaussian ? static_cast<double>(static_cast<float>(sigma)) : sigma;
}

/// Walker alias table of P(N=k) = Φ((k+½)/s) − Φ((k−½)/s), s = 255σ, with 64-bit integer weights
/// that sum to exactly 2^64. See include/smoothcert/device/lattice_noise.hpp for how it is read.
struct LatticeTable {
  double sigma = 0;
  int log2_columns = 0;             ///< L: 11, 12, 12 for σ = 0.25, 0.5, 1; at most 16
  int offset = 0;                   ///< value of column c is c − offset
  std::vector<std::uint32_t> hot;   ///< 2^L words: (top 32−L threshold bits << L) | alias column
  std::vector<std::uint32_t> cold;  ///< 2^L words: the low 32 threshold bits
  double slack_per_pixel = 0;       ///< upper bound of the total-variation distance to the law
  std::string sha256;               ///< of hot and cold, little-endian
};

/// Exact construction (Boost.Multiprecision, Vose with ascending-index queues): the smallest table
/// of at most 2^16 columns that holds ±8·255σ and keeps the slack of an image of `pixels` pixels,
/// pixels · slack_per_pixel, below 1e-11; where none does, the one with the least slack. Throws
/// UsageError: σ ≤ 0 or above 4, a slack above 1e-6 an image.
std::shared_ptr<const LatticeTable> make_lattice_table(double sigma, std::size_t pixels);

/// Fused kernels keep the table in shared memory: tables of at most so many columns (16 KiB).
inline constexpr int kSharedTableLog2Columns = 12;

/// The smoothing distribution, with what is needed to draw it.
struct NoiseSpec {
  NoiseLaw law = NoiseLaw::lattice;
  double sigma = 1.0;  ///< in units of [0,1] pixels
  bool clamp = true;   ///< clamp noisy pixels to [0,1]
  std::uint64_t seed = 0;
  std::shared_ptr<const LatticeTable> table;  ///< set when law is lattice
};

/// Largest magnitude that a noisy pixel, an input of the network, can have, in units of [0,1]: 1
/// where it is clamped, else what the table's last column or the largest Gaussian draw gives
/// (device/normal.hpp: |z| < 6.8). The lattice law needs its table.
double largest_input(const NoiseSpec& noise);

}  // namespace smoothcert
