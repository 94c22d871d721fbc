// The other layers over lanes, and the vote. NaN-safe: they are also what a network with
// overflowing weights runs on.
#pragma once

#include "cpu/lane_kernels.hpp"
#include "cpu/lanes.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

constexpr std::size_t kStep = kLanes;

void relu(std::size_t count, const float* in, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const Lanes x = load(in + i * kStep);
    store(out + i * kStep, Lanes{} > x ? Lanes{} : x);
  }
}

void affine(std::size_t channels, std::size_t area, const float* scale, const float* shift,
            const float* in, float* out) {
  for (std::size_t c = 0; c < channels; ++c) {
    const Lanes a = broadcast(scale[c]), b = broadcast(shift[c]);
    for (std::size_t i = c * area; i < (c + 1) * area; ++i)
      store(out + i * kStep, fma(load(in + i * kStep), a, b));
  }
}

void add(std::size_t count, const float* a, const float* b, float* out) {
  for (std::size_t i = 0; i < count; ++i)
    store(out + i * kStep, load(a + i * kStep) + load(b + i * kStep));
}

void global_avg_pool(std::size_t channels, std::size_t area, float share, const float* in,
                     float* out) {
  for (std::size_t c = 0; c < channels; ++c) {
    Lanes sum{};
    for (std::size_t i = c * area; i < (c + 1) * area; ++i) sum = sum + load(in + i * kStep);
    store(out + c * kStep, sum * broadcast(share));
  }
}

SMOOTHCERT_HD Lanes larger_or_nan(Lanes a, Lanes b) { return (b > a) | (b != b) ? b : a; }

void maxpool(const PoolStep& s, const float* in, float* out) {
  for (int c = 0; c < s.channels; ++c)
    for (int y = 0; y < s.out_height; ++y)
      for (int x = 0; x < s.out_width; ++x) {
        Lanes best = broadcast(-__builtin_inff());
        for (int ky = 0; ky < s.kernel; ++ky) {
          const int iy = y * s.stride - s.padding + ky;
          if (iy < 0 || iy >= s.in_height) continue;
          for (int kx = 0; kx < s.kernel; ++kx) {
            const int ix = x * s.stride - s.padding + kx;
            if (ix < 0 || ix >= s.in_width) continue;
            const std::size_t at =
                (static_cast<std::size_t>(c) * static_cast<std::size_t>(s.in_height) +
                 static_cast<std::size_t>(iy)) *
                    static_cast<std::size_t>(s.in_width) +
                static_cast<std::size_t>(ix);
            best = larger_or_nan(best, load(in + at * kStep));
          }
        }
        store(out, best);
        out += kStep;
      }
}

void vote(int classes, int valid, const float* logits, std::uint64_t* counts,
          std::uint64_t* invalid) {
  Lanes best = load(logits);
  IntLanes winner{}, nan = best != best;
  for (int c = 1; c < classes; ++c) {
    const Lanes x = load(logits + static_cast<std::size_t>(c) * kStep);
    const IntLanes above = x > best;
    nan |= x != x;
    best = above ? x : best;
    winner = above ? broadcast(static_cast<std::int32_t>(c)) : winner;
  }
  alignas(64) std::int32_t votes[kLanes];
  *reinterpret_cast<IntLanes*>(votes) = nan | winner;  // −1 where invalid
  for (int l = 0; l < valid; ++l) {
    if (votes[l] < 0)
      ++*invalid;
    else
      ++counts[votes[l]];
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
