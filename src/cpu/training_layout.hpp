// A training step laid out for threads: its program as phases, its parameters as tasks.
#pragma once

#include <cstddef>
#include <vector>

#include "cpu/training_graph.hpp"
#include "cpu/training_pass.hpp"

namespace smoothcert::cpu {

/// The phases in which lane groups carry out a program.
std::vector<Phase> lay_out_step(const TrainingPass& pass, const StepProgram& program);

/// A run of parameters whose gradients are summed, and then updated, as one task.
struct ParameterRun {
  std::size_t first = 0, last = 0;
  enum class Source { slots, linear, ready } source = Source::ready;
  std::size_t slot = 0;             ///< slots: place of `first` in a group's slot
  const TrainNode* node = nullptr;  ///< linear: rows [first_row, last_row)
  int first_row = 0, last_row = 0;
};

/// All parameters, cut into runs of some thousand.
std::vector<ParameterRun> split_parameters(const TrainGraph& graph);

}  // namespace smoothcert::cpu
