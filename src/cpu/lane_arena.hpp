// A lane program at work: one thread's activations, group by group.
#pragma once

#include <cstddef>
#include <memory>

#include "cpu/lane_program.hpp"

namespace smoothcert::cpu {

/// One thread's activations.
class LaneArena {
 public:
  explicit LaneArena(const LaneProgram& program);

  /// Where the input of a group goes, [pixel][lane], before run(). Groups must be filled and run
  /// through `fill`, since early activations of different groups share memory.
  /// fill(group, input) is called once per group in [0, groups).
  template <class Fill>
  void run(int groups, const Fill& fill) {
    run(groups, fill, [](std::size_t) {});
  }

  /// after(step) is called when a step of the program is done: once for each group, but once for
  /// all groups after a linear layer.
  template <class Fill, class After>
  void run(int groups, const Fill& fill, const After& after) {
    for (int group = 0; group < groups; ++group) {
      fill(group, at(0, group));
      for (std::size_t i = 0; i < program_.group_steps_; ++i) {
        execute(program_.steps_[i], group);
        after(i);
      }
    }
    for (std::size_t i = program_.group_steps_; i < program_.steps_.size(); ++i) {
      const LaneStep& step = program_.steps_[i];
      if (step.across_groups) {
        linear(step, groups);
        after(i);
        continue;
      }
      for (int group = 0; group < groups; ++group) {
        execute(step, group);
        after(i);
      }
    }
  }

  /// Logits of one group, [class][lane].
  [[nodiscard]] const float* logits(int group) { return at(program_.logits_, group); }

 private:
  float* at(int value, int group);
  void execute(const LaneStep& step, int group);
  void linear(const LaneStep& step, int groups);

  struct Free {
    void operator()(float* p) const;
  };
  const LaneProgram& program_;
  std::unique_ptr<float[], Free> memory_;
};

}  // namespace smoothcert::cpu
