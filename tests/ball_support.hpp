// Numbers with a proven error, from Arb: a comparison that holds here holds for the exact values.
#pragma once

#if SMOOTHCERT_HAVE_ARB

#include <arb.h>
#include <arb_hypgeom.h>

#include <cstdint>

namespace smoothcert::test {

/// An interval that contains the exact value; 128 bits.
class Ball {
 public:
  static constexpr slong kBits = 128;
  Ball() { arb_init(value_); }
  Ball(double exact) : Ball() { arb_set_d(value_, exact); }  // NOLINT(google-explicit-constructor)
  static Ball integer(std::uint64_t exact) {
    Ball ball;
    arb_set_ui(ball.value_, exact);
    return ball;
  }
  Ball(const Ball& other) : Ball() { arb_set(value_, other.value_); }
  Ball& operator=(const Ball& other) {
    arb_set(value_, other.value_);
    return *this;
  }
  ~Ball() { arb_clear(value_); }

  friend Ball operator+(const Ball& a, const Ball& b) { return of(arb_add, a, b); }
  friend Ball operator-(const Ball& a, const Ball& b) { return of(arb_sub, a, b); }
  friend Ball operator*(const Ball& a, const Ball& b) { return of(arb_mul, a, b); }
  friend Ball operator/(const Ball& a, const Ball& b) { return of(arb_div, a, b); }
  /// Certainly: for all values of both balls.
  friend bool operator<=(const Ball& a, const Ball& b) { return arb_le(a.value_, b.value_) != 0; }
  friend bool operator<(const Ball& a, const Ball& b) { return arb_lt(a.value_, b.value_) != 0; }

  template <class Function>
  static Ball of(Function function, const Ball& a) {
    Ball result;
    function(result.value_, a.value_, kBits);
    return result;
  }
  template <class Function>
  static Ball of(Function function, const Ball& a, const Ball& b) {
    Ball result;
    function(result.value_, a.value_, b.value_, kBits);
    return result;
  }
  void multiply(std::uint64_t by) { arb_mul_ui(value_, value_, by, kBits); }
  void divide(std::uint64_t by) { arb_div_ui(value_, value_, by, kBits); }
  [[nodiscard]] double middle() const { return arf_get_d(arb_midref(value_), ARF_RND_NEAR); }

 private:
  arb_t value_;
};

inline Ball root_two() { return Ball::of(arb_sqrt, Ball(2.0)); }
inline Ball complementary_error(const Ball& x) { return Ball::of(arb_hypgeom_erfc, x); }
inline Ball normal_cdf(const Ball& x) {
  return complementary_error(Ball(0.0) - x / root_two()) / Ball(2.0);
}
/// Φ⁻¹(p)
inline Ball normal_quantile(const Ball& p) {
  return root_two() * Ball::of(arb_hypgeom_erfinv, Ball(2.0) * p - Ball(1.0));
}

/// P(Bin(n, p) = k)
inline Ball binomial_share(std::uint64_t k, std::uint64_t n, const Ball& p) {
  const auto log_factorial = [](std::uint64_t m) {
    return Ball::of(arb_lgamma, Ball::integer(m) + Ball(1.0));
  };
  Ball log_share = Ball::integer(k) * Ball::of(arb_log, p);
  if (k < n)
    log_share = log_share + Ball::integer(n - k) * Ball::of(arb_log, Ball(1.0) - p) +
                log_factorial(n) - log_factorial(k) - log_factorial(n - k);
  return Ball::of(arb_exp, log_share);
}

/// P(Bin(n, p) ≥ k): the sum from the k-th term on, whose ratios fall.
inline Ball binomial_tail(std::uint64_t k, std::uint64_t n, const Ball& p) {
  const Ball odds = p / (Ball(1.0) - p);
  Ball term(1.0), sum(1.0);
  for (std::uint64_t j = 0; j < n - k; ++j) {
    term.multiply(n - k - j);
    term.divide(k + 1 + j);
    term = term * odds;
    sum = sum + term;
    // The rest is below a geometric series with the next ratio.
    if (j % 16 == 15) {
      const Ball ratio = Ball::integer(n - k - j - 1) * odds / Ball::integer(k + 2 + j);
      if (!(ratio < Ball(1.0))) continue;
      const Ball rest = term * ratio / (Ball(1.0) - ratio);
      if (rest <= sum * Ball(1e-15)) {
        sum = sum + rest;  // an upper bound, by no more than 1e-15
        break;
      }
    }
  }
  return binomial_share(k, n, p) * sum;
}

/// Whether the mixture M(1 − q) of anytime_bound.hpp is ≥ 1/level, in its form of binomials:
/// M = P(Bin(n+1, p) ≤ k) / ((n+1)·q·P(Bin(n, p) = k)).
inline bool mixture_reaches(double q_exact, std::uint64_t k, std::uint64_t n, double level) {
  const Ball q(q_exact), p = Ball(1.0) - q;
  if (!(p < Ball::integer(k) / Ball::integer(n + 1))) return false;
  const Ball below = Ball(1.0) - binomial_tail(k + 1, n + 1, p);
  return Ball::integer(n + 1) * q * binomial_share(k, n, p) <= Ball(level) * below;
}

}  // namespace smoothcert::test

#endif
