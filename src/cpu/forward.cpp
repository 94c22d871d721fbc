// Logits of given images by the exact plan, one image per SIMD lane.
#include "cpu/forward.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "cpu/lane_arena.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::cpu {
namespace {

double largest_magnitude(std::span<const float> values) {
  float largest = 0;
  for (const float v : values) {
    if (!(std::fabs(v) <= largest)) largest = std::fabs(v);
    if (std::isnan(v)) return std::numeric_limits<double>::infinity();
  }
  return largest;
}

}  // namespace

void forward(const InferencePlan& plan, ThreadPool& pool, std::span<const float> images,
             std::span<float> logits) {
  const std::size_t size = plan.input.size();
  const auto classes = static_cast<std::size_t>(plan.classes);
  const std::size_t count = size == 0 ? 0 : images.size() / size;
  if (count * size != images.size() || logits.size() != count * classes)
    throw UsageError("forward: " + std::to_string(images.size()) + " pixels and " +
                     std::to_string(logits.size()) + " logits do not fit images of " +
                     std::to_string(size) + " pixels and " + std::to_string(classes) + " classes");
  if (count == 0) return;

  const LaneProgram program(plan, active_lane_kernels(), largest_magnitude(images));
  const auto lanes = static_cast<std::size_t>(program.kernels().lanes);
  const auto batch = static_cast<std::size_t>(program.batch());
  std::vector<std::unique_ptr<LaneArena>> arenas(static_cast<std::size_t>(pool.threads()));
  pool.parallel_for((count + batch - 1) / batch, [&](std::size_t block, int worker) {
    auto& arena = arenas[static_cast<std::size_t>(worker)];
    if (!arena) arena = std::make_unique<LaneArena>(program);
    const std::size_t first = block * batch, end = std::min(count, first + batch);
    const int groups = static_cast<int>((end - first + lanes - 1) / lanes);
    arena->run(groups, [&](int group, float* input) {
      for (std::size_t l = 0; l < lanes; ++l) {
        const std::size_t image = first + static_cast<std::size_t>(group) * lanes + l;
        // Lanes without an image repeat the last one; nothing reads their logits.
        const float* from = images.data() + std::min(image, end - 1) * size;
        for (std::size_t p = 0; p < size; ++p) input[p * lanes + l] = from[p];
      }
    });
    for (std::size_t image = first; image < end; ++image) {
      const std::size_t group = (image - first) / lanes, l = (image - first) % lanes;
      const float* from = arena->logits(static_cast<int>(group));
      for (std::size_t c = 0; c < classes; ++c) logits[image * classes + c] = from[c * lanes + l];
    }
  });
}

}  // namespace smoothcert::cpu
