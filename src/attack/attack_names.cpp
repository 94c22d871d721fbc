// Attacks by name, and the study's size for each norm.
#include <cmath>

#include "smoothcert/attack.hpp"
#include "smoothcert/error.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {
namespace {

struct Entry {
  AttackKind kind;
  const char* name;
  double epsilon;
  int steps;
};

constexpr Entry kAttacks[] = {
    {AttackKind::fgm_l1, "l1", 5.0, 1},      {AttackKind::fgm_l1_steepest, "l1-steepest", 5.0, 1},
    {AttackKind::fgm_l2, "l2", 5.0, 1},      {AttackKind::fgm_linf, "linf", 0.3, 1},
    {AttackKind::pgd_l2, "pgd-l2", 5.0, 20}, {AttackKind::pgd_linf, "pgd-linf", 0.3, 20},
};

}  // namespace

AttackSpec attack_from_name(const std::string& name) {
  for (const Entry& entry : kAttacks)
    if (name == entry.name) {
      AttackSpec spec;
      spec.kind = entry.kind;
      spec.epsilon = entry.epsilon;
      spec.steps = entry.steps;
      return spec;
    }
  throw UsageError(unknown_name_message("attack", name, attack_names()));
}

std::string attack_name(AttackKind kind) {
  for (const Entry& entry : kAttacks)
    if (kind == entry.kind) return entry.name;
  throw UsageError("unknown attack kind " + std::to_string(static_cast<int>(kind)));
}

std::vector<std::string> attack_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kAttacks) names.emplace_back(entry.name);
  return names;
}

void validate(const AttackSpec& spec) {
  const std::string who = "attack '" + attack_name(spec.kind) + "': ";
  const bool pgd = spec.kind == AttackKind::pgd_l2 || spec.kind == AttackKind::pgd_linf;
  if (!(spec.epsilon >= 0) || !std::isfinite(spec.epsilon))
    throw UsageError(who + "ε must be a number that is not negative");
  if (!pgd) {
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
