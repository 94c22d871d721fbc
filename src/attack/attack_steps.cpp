// The steps that attacks are made of, one image at a time.
#include "attack/attack_steps.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/device/updates.hpp"

namespace smoothcert::attack_detail {
namespace {

using Values = device::ScalarValues;

device::PhiloxWords start_words(std::uint64_t seed, std::uint32_t image, std::uint32_t restart,
                                std::size_t group) {
  return device::philox_at(seed, static_cast<std::uint32_t>(Purpose::attack_start), image, restart,
                           static_cast<std::uint32_t>(group));
}

}  // namespace

void step(AttackKind kind, std::span<const float> gradient, float length, std::span<float> x) {
  const float* g = gradient.data();
  const std::size_t count = x.size();
  switch (kind) {
    case AttackKind::fgm_l1:
      return device::normalised_step<Values>(g, count, device::Norm::l1, length, x.data());
    case AttackKind::fgm_l1_steepest:
      return device::single_pixel_step<Values>(g, count, length, x.data());
    case AttackKind::fgm_l2:
    case AttackKind::pgd_l2:
      return device::normalised_step<Values>(g, count, device::Norm::l2, length, x.data());
    case AttackKind::fgm_linf:
    case AttackKind::pgd_linf:
      return device::sign_step<Values>(g, count, length, x.data());
  }
}

void clamp(std::span<float> x) { device::clamp_image<Values>(x.size(), x.data()); }

void project(AttackKind kind, std::span<const float> centre, float epsilon, std::span<float> x) {
  if (kind == AttackKind::pgd_l2)
    device::project_l2<Values>(centre.data(), x.size(), epsilon, x.data());
  if (kind == AttackKind::pgd_linf)
    device::project_linf<Values>(centre.data(), x.size(), epsilon, x.data());
  clamp(x);
}

void random_start(AttackKind kind, std::span<const float> centre, float epsilon, std::uint64_t seed,
                  std::uint32_t image, std::uint32_t restart, std::span<float> x) {
  const std::size_t pixels = x.size(), groups = (pixels + 3) / 4;
  std::vector<float> direction(4 * groups);
  for (std::size_t group = 0; group < groups; ++group) {
    const auto words = start_words(seed, image, restart, group);
    float* d = direction.data() + 4 * group;
    for (int i = 0; i < 4; ++i) d[i] = 2.0f * device::uniform01(words.v[i]) - 1.0f;
    if (kind != AttackKind::pgd_l2) continue;
    for (int i = 0; i < 4; i += 2) {
      const auto z = device::normal_pair<device::ScalarMath>(words.v[i], words.v[i + 1]);
      d[i] = z.first;
      d[i + 1] = z.second;
    }
  }
  direction.resize(pixels);
  std::copy(centre.begin(), centre.end(), x.begin());
  if (kind == AttackKind::pgd_l2) {
    // The share of a ball within r of its centre is (r/ε)^pixels.
    const double u = device::uniform01(start_words(seed, image, restart, groups).v[0]);
    const double radius = epsilon * std::pow(u, 1.0 / static_cast<double>(pixels));
    step(kind, direction, static_cast<float>(radius), x);
  } else {
    for (std::size_t i = 0; i < pixels; ++i) x[i] += epsilon * direction[i];
  }
  project(kind, centre, epsilon, x);
}

}  // namespace smoothcert::attack_detail
