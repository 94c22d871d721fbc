// Two runs on the same images: what differs, and whether the images alone could make it so.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "smoothcert/analysis.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

/// Share of sign patterns, drawn uniformly, whose sum is as far from 0 as the observed one. The
/// observed pattern counts as one of them, so that the test keeps its level (Phipson & Smyth 2010).
double sign_flip_p(std::vector<double> differences) {
  std::erase(differences, 0.0);
  const double observed = std::fabs(std::accumulate(differences.begin(), differences.end(), 0.0));
  double largest = 0;
  for (const double d : differences) largest += std::fabs(d);
  const double tie = observed - 1e-12 * largest;  // sums in another order are the same sum
  std::mt19937_64 random(20190208);               // the same patterns for everybody
  std::uint64_t as_far = 1;
  for (std::uint64_t flip = 0; flip < kPermutations; ++flip) {
    double sum = 0;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      if (i % 64 == 0) bits = random();
      sum += (bits & 1) != 0 ? differences[i] : -differences[i];
      bits >>= 1;
    }
    as_far += std::fabs(sum) >= tie ? 1 : 0;
  }
  return static_cast<double>(as_far) / static_cast<double>(kPermutations + 1);
}

}  // namespace

PairedComparison compare_paired(std::span<const Certificate> first,
                                std::span<const Certificate> second, double radius) {
  PairedComparison result;
  result.radius = radius;
  std::vector<double> differences;
  for (std::size_t i = 0, j = 0; i < first.size() && j < second.size();) {
    const Certificate &a = first[i], &b = second[j];
    if (a.image != b.image) {
      ++(a.image < b.image ? i : j);
      continue;
    }
    if (a.label != b.label)
      throw Error(
          fmt::format("image {} is labelled {} in one run and {} in the other: they are "
                      "about different data and cannot be compared image by image",
                      a.image, a.label, b.label));
    const bool in_first = a.correct() && a.radius >= radius;
    const bool in_second = b.correct() && b.radius >= radius;
    ++(in_first ? (in_second ? result.both : result.only_first)
                : (in_second ? result.only_second : result.neither));
    differences.push_back((a.correct() ? a.radius : 0.0) - (b.correct() ? b.radius : 0.0));
    ++i;
    ++j;
  }
  result.images = differences.size();
  if (differences.empty()) return result;
  const std::uint64_t discordant = result.only_first + result.only_second;
  if (discordant > 0)
    result.mcnemar_p =
        binomial_test_two_sided(std::max(result.only_first, result.only_second), discordant);
  const auto m = static_cast<double>(differences.size());
  result.acr_difference = std::accumulate(differences.begin(), differences.end(), 0.0) / m;
  if (differences.size() > 1) {
    double squares = 0;
    for (const double d : differences)
      squares += (d - result.acr_difference) * (d - result.acr_difference);
    result.acr_half_width = kStandardErrors95 * std::sqrt(squares / (m - 1) / m);
  }
  result.permutation_p = sign_flip_p(std::move(differences));
  return result;
}

std::vector<double> holm_adjusted(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double least = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const auto questions = static_cast<double>(order.size() - rank);
    least = std::max(least, std::min(1.0, questions * p_values[order[rank]]));
    adjusted[order[rank]] = least;
  }
  return adjusted;
}

std::vector<std::uint32_t> common_images(std::span<const std::span<const Certificate>> runs) {
  std::vector<std::uint32_t> common;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    std::vector<std::uint32_t> images, both;
    for (const Certificate& c : runs[r]) images.push_back(c.image);
    if (r == 0) {
      common = std::move(images);
      continue;
    }
    std::ranges::set_intersection(common, images, std::back_inserter(both));
    common = std::move(both);
  }
  return common;
}

}  // namespace smoothcert
