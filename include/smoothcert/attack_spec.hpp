// Which attack, how strong, on which loss. Data only.
#pragma once

#include <cstdint>
#include <string>

#include "smoothcert/names.hpp"

namespace smoothcert {

enum class AttackKind {
  fgm_l1,           ///< x + ε·g/‖g‖₁
  fgm_l1_steepest,  ///< all of ε on the largest |g|, in the direction of its sign
  fgm_l2,           ///< x + ε·g/‖g‖₂
  fgm_linf,         ///< x + ε·sign(g)
  pgd_l2,  ///< steps of step_size·g/‖g‖₂, projected on the ε-ball (Madry et al. 2018)
  pgd_linf,
};
template <>
struct Names<AttackKind> {
  static constexpr const char* kWhat = "attack";
  static constexpr NamedValue<AttackKind> kValues[] = {
      {AttackKind::fgm_l1, "l1"},     {AttackKind::fgm_l1_steepest, "l1-steepest"},
      {AttackKind::fgm_l2, "l2"},     {AttackKind::fgm_linf, "linf"},
      {AttackKind::pgd_l2, "pgd-l2"}, {AttackKind::pgd_linf, "pgd-linf"}};
};

enum class LossKind {
  cross_entropy,
  margin,  ///< largest other logit − true logit (Carlini & Wagner 2017, f₆ without the hinge)
};
template <>
struct Names<LossKind> {
  static constexpr const char* kWhat = "loss";
  static constexpr NamedValue<LossKind> kValues[] = {{LossKind::cross_entropy, "cross_entropy"},
                                                     {LossKind::margin, "margin"}};
};

/// BatchNorm statistics: `eval` uses the running ones, `train` those of the batch (and updates the
/// running ones).
enum class ForwardMode { eval, train };
template <>
struct Names<ForwardMode> {
  static constexpr const char* kWhat = "mode of the forward pass";
  static constexpr NamedValue<ForwardMode> kValues[] = {{ForwardMode::train, "train"},
                                                        {ForwardMode::eval, "eval"}};
};

struct AttackSpec {
  AttackKind kind = AttackKind::fgm_l2;
  LossKind loss = LossKind::cross_entropy;
  double epsilon = 5.0;
  int steps = 1;              ///< PGD only
  double step_size = 0;       ///< PGD only; 0 = 2.5·ε/steps
  bool random_start = false;  ///< PGD only: uniform in the ball
  int restarts = 1;           ///< PGD only, with random starts; the strongest counts
  std::uint64_t seed = 0;     ///< of the random starts

  /// Whether it is of several steps, each projected on the ε-ball: PGD.
  [[nodiscard]] bool projected() const {
    return kind == AttackKind::pgd_l2 || kind == AttackKind::pgd_linf;
  }
  /// How many steps it takes, and how long each is: one of ε where it is not projected.
  [[nodiscard]] int step_count() const { return projected() ? steps : 1; }
  [[nodiscard]] double step_length() const {
    if (!projected()) return epsilon;
    return step_size > 0 ? step_size : 2.5 * epsilon / steps;
  }
};

/// The attack of that name (Names<AttackKind>) with the study's size for its norm. Throws
/// UsageError, suggesting the nearest.
AttackSpec attack_from_name(const std::string& name);

/// Throws UsageError naming the field that makes no sense.
void validate(const AttackSpec& spec);

}  // namespace smoothcert
