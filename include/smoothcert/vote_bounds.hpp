// The one place where the votes of an image become a radius.
#pragma once

#include <cstdint>

#include "smoothcert/anytime_bound.hpp"
#include "smoothcert/names.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {

/// How p̄_B, the bound of the second class, is had.
enum class SecondBound {
  complement,  ///< 1 − p̲_A, with p̲_A at α (Cohen et al. 2019, CERTIFY)
  counted,     ///< from the largest count of another class: both bounds at α/2
};
template <>
struct Names<SecondBound> {
  static constexpr const char* kWhat = "bound";
  static constexpr NamedValue<SecondBound> kValues[] = {{SecondBound::complement, "complement"},
                                                        {SecondBound::counted, "counted"}};
};

/// What is asked of the votes of every image of a run.
struct BoundSettings {
  double sigma = 1;  ///< of Gaussian noise as drawn
  double alpha = 0.05;
  double slack = 0;  ///< δ: total-variation distance per image of the noise as drawn
  SecondBound p_b = SecondBound::complement;
  Sampling sampling = Sampling::fixed();
  NoiseLaw law = NoiseLaw::lattice;  ///< what its counts become: noise_traits(law).rule
  std::uint32_t width = 0;           ///< W of uniform and splitting noise
};

/// Votes of the estimation stage.
struct VoteSplit {
  std::uint64_t a = 0;       ///< for the class A
  std::uint64_t second = 0;  ///< for the strongest other answer, "no answer" included
  std::uint64_t n = 0;       ///< all samples, those without an answer included
};

struct VoteBounds {
  double p_lower = 0;  ///< p̲_A at α, or at α/2 where p̄_B is counted; δ subtracted once
  double radius = 0;   ///< certified radius in [0,1] pixel units; > 0 exactly where A is certified.
                       ///< L2 of Gaussian noise, L1 of uniform noise: noise_traits(law).norm
};

/// For noise that is sampled; splitting noise has no bounds, only all of its votes
/// (make_certificate()).
VoteBounds bound_votes(const VoteSplit& votes, const BoundSettings& settings);

/// The largest radius that a certificate from p_A alone could reach with any number of samples,
/// with probability 1 − β: σΦ⁻¹(p̄_A), rounded up; infinite for votes.a = n, 0 where p̄_A ≤ ½. A
/// half-space attains σΦ⁻¹(p_A) under continuous noise (Cohen et al. 2019, Theorem 2). Says nothing
/// about the true robust radius of one classifier, which may be larger.
double method_ceiling(const VoteSplit& votes, double beta, double sigma,
                      Sampling sampling = Sampling::fixed());

}  // namespace smoothcert
