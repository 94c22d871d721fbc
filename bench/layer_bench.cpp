// How fast the lane kernels run each kind of layer: the larger rows of the tests' table of layers,
// on one thread. One JSON line a row:
//
//   layer_bench [NAME…]        rows whose name contains a NAME; all without one
//
// "ns" is a sample's time through the layers alone, without the head that makes them a network;
// "bytes_per_ns" is what they read and write in that time.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "cpu/lane_arena.hpp"
#include "layer_cases.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert::cpu {
namespace {

/// The shortest of many runs, per sample.
double nanoseconds(const InferencePlan& plan) {
  using Clock = std::chrono::steady_clock;
  const LaneProgram program(plan, active_lane_kernels(), 1.0);
  LaneArena arena(program);
  double best = 1e30;
  for (int i = 0; i < 200; ++i) {
    const auto start = Clock::now();
    arena.run(kGroups, [](int, float* to) { to[0] = 0.5f; });  // the rest is stale
    const std::chrono::duration<double> taken = Clock::now() - start;
    best = std::min(best, taken.count());
  }
  return best * 1e9 / program.batch();
}

void run(const LayerCase& c) {
  const InferencePlan whole = make_inference_plan(formula_network(case_network(c)));
  InferencePlan layers = whole;
  layers.steps.resize(layers.steps.size() - 2);  // without the flatten and the head
  std::size_t values = 0;
  for (const PlanStep& step : layers.steps) values += step.in_shape.size() + step.out_shape.size();
  const double ns = nanoseconds(layers);
  std::cout << "{\"layer\": \"" << c.name << "\", \"isa\": \"" << isa_name(active_isa())
            << "\", \"multiply_adds\": "
            << LaneProgram(layers, active_lane_kernels(), 1.0).multiply_adds() << ", \"ns\": " << ns
            << ", \"bytes_per_ns\": " << 4.0 * static_cast<double>(values) / ns << "}\n";
}

}  // namespace
}  // namespace smoothcert::cpu

int main(int argc, char** argv) {
  const std::vector<std::string> names(argv + 1, argv + argc);
  for (const auto& c : smoothcert::layer_speed_cases())
    if (names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& name) {
          return c.name.find(name) != std::string::npos;
        }))
      smoothcert::cpu::run(c);
}
