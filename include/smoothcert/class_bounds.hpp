// Statements about several classes from the votes of one image: which labels stay among the k
// likeliest (Jia et al. 2020), which class is never the answer. Bounds that hold together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "smoothcert/vote_bounds.hpp"

namespace smoothcert {

/// Bounds of every class at once: with probability 1 − α all hold. The chosen class has α/2; the
/// other C − 1 classes and "no answer", a rival of its own, share the other half equally. Shares of
/// the law as executed: δ enters where they become radii.
struct ClassBounds {
  std::size_t chosen = 0;
  double q_chosen = 1;        ///< 1 − p̲ of the chosen class
  std::vector<double> upper;  ///< p̄ of each class; [chosen] is 1 and means nothing
  double upper_none = 1;      ///< p̄ of "no answer"
};

/// `counts` of all classes, `invalid` samples without an answer. The class must have been chosen
/// without these votes: by the selection stage, or the label. settings.p_b is not used.
ClassBounds class_bounds(std::span<const std::uint64_t> counts, std::uint64_t invalid,
                         std::size_t chosen, const BoundSettings& settings);

/// Radius within which class y stays among the k likeliest, from its bound at the whole α:
/// σ(Φ⁻¹(p̲ − δ) − Φ⁻¹(1/(k+1) + δ)), rounded down, 0 where none. k = 1 is bound_votes with
/// SecondBound::complement. Throws UsageError for k = 0.
double top_k_radius(std::uint64_t k_votes, std::uint64_t n, std::uint32_t k,
                    const BoundSettings& settings);

/// The same from the bounds of all classes (α is shared). Of the two radii one is chosen before the
/// votes are seen: the larger of both is no certificate at α. Throws UsageError unless
/// 1 ≤ k < number of classes.
double top_k_radius(const ClassBounds& bounds, std::uint32_t k, const BoundSettings& settings);

/// Radius within which class c is not the answer, because the chosen class is likelier: one for
/// each class, 0 where nothing can be said; [chosen] is 0.
std::vector<double> class_distances(const ClassBounds& bounds, const BoundSettings& settings);

}  // namespace smoothcert
