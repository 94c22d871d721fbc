// Where the values of a network live during one pass: values whose lives do not overlap share
// memory.
#include "gpu/value_layout.hpp"

#include <algorithm>

namespace smoothcert::gpu {
namespace {

struct Interval {
  std::size_t offset, size;
  int dies_after;  // step
};

}  // namespace

ValueLayout lay_out_values(const InferencePlan& plan) {
  const int steps = static_cast<int>(plan.steps.size());
  // owner[v + 1] is the value whose memory v uses; index 0 is the image.
  std::vector<int> owner(static_cast<std::size_t>(steps) + 1);
  std::vector<int> last_use(static_cast<std::size_t>(steps) + 1, -1);
  const auto at = [](int value) { return static_cast<std::size_t>(value + 1); };
  owner[0] = -1;
  for (int s = 0; s < steps; ++s) {
    const PlanStep& step = plan.steps[static_cast<std::size_t>(s)];
    owner[at(s)] = step.kind == StepKind::flatten ? owner[at(step.in)] : s;
    step.for_each_input([&](int value) { last_use[at(owner[at(value)])] = s; });
  }
  if (steps > 0) last_use[at(owner[at(steps - 1)])] = steps;  // the logits outlive all steps

  ValueLayout layout;
  layout.offsets.resize(static_cast<std::size_t>(steps));
  std::vector<Interval> live;
  const auto place = [&](std::size_t size, int dies_after) {
    std::size_t offset = 0;
    std::sort(live.begin(), live.end(),
              [](const Interval& a, const Interval& b) { return a.offset < b.offset; });
    for (const Interval& i : live) {
      if (offset + size <= i.offset) break;
      offset = std::max(offset, i.offset + i.size);
    }
    live.push_back({offset, size, dies_after});
    layout.total = std::max(layout.total, offset + size);
    return offset;
  };
  layout.image = place(plan.input.size(), last_use[0]);
  for (int s = 0; s < steps; ++s) {
    const PlanStep& step = plan.steps[static_cast<std::size_t>(s)];
    std::erase_if(live, [&](const Interval& i) { return i.dies_after < s; });
    const int own = owner[at(s)];
    auto& offset = layout.offsets[static_cast<std::size_t>(s)];
    if (own != s) {
      offset = own < 0 ? layout.image : layout.offsets[static_cast<std::size_t>(own)];
    } else {
      offset = place(step.out_shape.size(), std::max(last_use[at(s)], s));
    }
  }
  return layout;
}

}  // namespace smoothcert::gpu
