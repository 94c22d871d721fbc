// Attacks by name with the study's size for each norm, and which specifications make sense.
#include <cmath>

#include "smoothcert/attack_spec.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

/// The study's size for an attack, and its steps.
struct Size {
  double epsilon;
  int steps;
};

Size usual_size(AttackKind kind) {
  switch (kind) {
    case AttackKind::fgm_l1:
    case AttackKind::fgm_l1_steepest:
    case AttackKind::fgm_l2:
      return {5.0, 1};
    case AttackKind::fgm_linf:
      return {0.3, 1};
    case AttackKind::pgd_l2:
      return {5.0, 20};
    case AttackKind::pgd_linf:
      return {0.3, 20};
  }
  throw UsageError("unknown attack kind " + std::to_string(static_cast<int>(kind)));
}

}  // namespace

AttackSpec attack_from_name(const std::string& name) {
  AttackSpec spec;
  spec.kind = from_name<AttackKind>(name);
  const Size size = usual_size(spec.kind);
  spec.epsilon = size.epsilon;
  spec.steps = size.steps;
  return spec;
}

void validate(const AttackSpec& spec) {
  const std::string who = "attack '" + to_name(spec.kind) + "': ";
  if (!(spec.epsilon >= 0) || !std::isfinite(spec.epsilon))
    throw UsageError(who + "ε must be a number that is not negative");
  constexpr double kMost = 1e4;  // pixels lie in [0,1]; beyond floats a step would be NaN
  if (spec.epsilon > kMost || spec.step_size > kMost)
    throw UsageError(who + "ε and step size must be at most 10000, in units of [0,1] pixels");
  if (!spec.projected()) {
    if (spec.random_start || spec.restarts != 1)
      throw UsageError(who + "random starts and restarts are for pgd-l2 and pgd-linf");
    return;
  }
  if (spec.steps < 1) throw UsageError(who + "steps must be at least 1");
  if (!(spec.step_size >= 0) || !std::isfinite(spec.step_size))
    throw UsageError(who + "the step size must not be negative (0 = 2.5·ε/steps)");
  if (spec.restarts < 1) throw UsageError(who + "restarts must be at least 1");
  if (spec.restarts > 1 && !spec.random_start)
    throw UsageError(who + "restarts without a random start would all be the same");
}

}  // namespace smoothcert
