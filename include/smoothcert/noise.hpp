// Which noise a smoothed classifier adds, what follows from that choice, and the table the lattice
// law is drawn from.
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
  uniform,   ///< an integer, uniform on W = 2^b consecutive ones, is added to each 8-bit pixel
  split,     ///< splitting noise (DSSN): all W splits are evaluated, nothing is sampled
};
template <>
struct Names<NoiseLaw> {
  static constexpr const char* kWhat = "noise law";
  static constexpr NamedValue<NoiseLaw> kValues[] = {{NoiseLaw::lattice, "lattice"},
                                                     {NoiseLaw::gaussian, "gaussian"},
                                                     {NoiseLaw::uniform, "uniform"},
                                                     {NoiseLaw::split, "split"}};
};

/// The distance that a radius is a statement about.
enum class Norm { l1, l2, linf };
template <>
struct Names<Norm> {
  static constexpr const char* kWhat = "norm";
  static constexpr NamedValue<Norm> kValues[] = {
      {Norm::l1, "l1"}, {Norm::l2, "l2"}, {Norm::linf, "linf"}};
};

enum class CertificateKind {
  probabilistic,  ///< false with probability α at most
  exact,          ///< certain: nothing was sampled
};
template <>
struct Names<CertificateKind> {
  static constexpr const char* kWhat = "kind of certificate";
  static constexpr NamedValue<CertificateKind> kValues[] = {
      {CertificateKind::probabilistic, "probabilistic"}, {CertificateKind::exact, "exact"}};
};

struct NoiseSpec;

/// What follows from a noise law: how its inputs are drawn, and which statement its counts become.
/// The one list of them is in src/noise/noise_law.cpp; whoever draws or certifies asks here.
struct NoiseTraits {
  /// Which function turns counts into a certificate (make_certificate() carries it out).
  enum class Rule {
    gaussian_votes,  ///< bound_votes(): σ and the normal quantile
    uniform_votes,   ///< uniform_certificate(): W and the bound of p_A
    all_splits,      ///< split_certificate(): W and all votes
  };
  NoiseLaw law;
  Norm norm;
  CertificateKind kind;
  Rule rule;
  bool integer;       ///< integers are added to integers: statements hold for the program as it ran
  const char* scale;  ///< what NoiseSpec::sigma holds: "sigma", or "lambda" of laws with a width W
  const char* symbol;  ///< the same for people: "σ", "λ"
  const char* words;   ///< "lattice noise"
  /// δ of one pixel: total-variation distance between the noise as drawn and its law.
  double (*slack_per_pixel)(const NoiseSpec& noise);
  /// Largest magnitude of an input of the network that is not clamped, in units of [0,1].
  double (*largest_unclamped)(const NoiseSpec& noise);
  /// Whether the law is set by λ, which stands for W = 510·λ grey levels.
  [[nodiscard]] bool has_width() const { return rule != Rule::gaussian_votes; }
};
const NoiseTraits& noise_traits(NoiseLaw law);

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
  double sigma = 1.0;  ///< σ, or λ of a law with a width; in units of [0,1] pixels
  bool clamp = true;   ///< clamp noisy pixels to [0,1]; splitting noise stays within by itself
  std::uint64_t seed = 0;
  std::shared_ptr<const LatticeTable> table;  ///< set when law is lattice
  std::uint32_t width = 0;                    ///< W of uniform and splitting noise, else 0
};

/// Largest magnitude that a noisy pixel, an input of the network, can have, in units of [0,1]: 1
/// where it is clamped, else what the law can give. The lattice law needs its table.
double largest_input(const NoiseSpec& noise);

/// Throws UsageError, beginning with `where`, where what the law is drawn from is missing: the
/// table, a width that it can be drawn with. Everybody who draws asks this first.
void require_drawable(const NoiseSpec& noise, const std::string& where);

/// How many samples an image can have: the W splits of splitting noise, else 2^32; and the words
/// for that, "below 2^32", "of the 510 splits".
std::uint64_t samples_of(const NoiseSpec& noise);
std::string samples_text(const NoiseSpec& noise);

/// Widths W = 510·λ that can be drawn. Uniform noise: a power of two, 2 … 2^16, within 2 % of
/// 510·λ (λ = 0.5 gives 256). Splitting noise: the nearest whole number, 255 … 2^20 − 1. 0 for laws
/// without a width. Throws UsageError, naming what can be drawn, for any other λ.
std::uint32_t noise_width(NoiseLaw law, double lambda);

/// λ of a width: W/510, the λ in use.
double lambda_of_width(std::uint32_t width);

}  // namespace smoothcert
