// A point at which the smoothed classifier does not answer A: the test that confirms it and the
// distance it lies at. Statements about the classifier as executed: δ does not enter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace smoothcert {

/// P(Bin(n_a + n_c, ½) ≥ n_c), rounded up: the p-value of "A is at least as likely as c at x'".
/// n_a and n_c are votes of fresh samples at x', drawn after x' and c were chosen, all of them;
/// other answers are left out (conditional exact test). 1 without votes.
double disproof_p_value(std::uint64_t n_a, std::uint64_t n_c);

/// Distance of two 8-bit images of equal size in [0,1] pixel units, from integers, rounded up.
/// Throws Error for different sizes.
struct ImageDistance {
  std::uint64_t squares = 0;  ///< Σ(255Δ)²
  std::uint64_t units = 0;    ///< Σ|255Δ|
  std::uint32_t largest = 0;  ///< max|255Δ|
  [[nodiscard]] double l1() const;
  [[nodiscard]] double l2() const;
  [[nodiscard]] double linf() const;
};
ImageDistance image_distance(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

/// A point x' that was put to the test: votes of `samples` fresh draws there, against the class A
/// of the image's certificate. There is one test an image and run, whatever came of it.
struct Disproof {
  std::uint32_t image = 0;           ///< data-set index
  std::vector<std::uint8_t> pixels;  ///< x', CHW
  std::uint64_t squares = 0;         ///< Σ(255(x' − x))²
  int rival = 0;                     ///< c, chosen with x'
  std::uint64_t votes_selected = 0, votes_rival = 0, samples = 0;
  double alpha = 0;    ///< level of the test
  double seconds = 0;  ///< of search and test
  /// Whether x' has another answer than A, with confidence 1 − alpha.
  [[nodiscard]] bool confirmed() const {
    return disproof_p_value(votes_selected, votes_rival) <= alpha;
  }
  /// ‖x' − x‖₂ in [0,1] pixel units, rounded up: no L2 radius of A is as large, where confirmed.
  [[nodiscard]] double radius() const { return ImageDistance{squares, 0, 0}.l2(); }
};

/// Confirmed distances below their image's certified radius: each is a false certificate or a false
/// test. Both are rare by construction, so many of them name a defect.
struct Contradictions {
  std::uint64_t tests = 0, contradictions = 0;
  /// P(at least so many), each test failing with chance α + α_d at most.
  double p_value = 1;
};
Contradictions contradictions(std::uint64_t tests, std::uint64_t found, double alpha,
                              double alpha_test);

}  // namespace smoothcert
