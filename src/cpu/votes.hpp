// Monte-Carlo votes on the CPU, one sample per SIMD lane.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cpu/lane_arena.hpp"
#include "cpu/thread_pool.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert::cpu {

/// A program and its threads' activations: packing the weights of a large network and touching its
/// memory for the first time take as long as many samples.
struct PreparedVotes {
  LaneProgram program;
  std::vector<std::unique_ptr<LaneArena>> arenas;  ///< by worker, made when first needed
};

/// What the votes of a plan were last counted with, for the next ones. Made anew where mode, input
/// range or instruction set change. Not thread-safe.
class VoteCache {
 public:
  std::shared_ptr<PreparedVotes> of(const InferencePlan& plan, const VoteSettings& settings);
  void forget() { prepared_.reset(); }  ///< the plan is another one

 private:
  std::shared_ptr<PreparedVotes> prepared_;
  Mode mode_ = Mode::exact;
  double largest_input_ = 0;
};

/// Copies nothing: plan and pool must outlive the run. The pool is busy until the run has ended,
/// and so is `prepared`.
std::unique_ptr<VoteRun> start_votes(ThreadPool& pool, std::shared_ptr<PreparedVotes> prepared,
                                     const VoteSettings& settings, std::vector<VoteJob> jobs,
                                     std::function<void(const VoteResult&)> on_result);
/// With a program of its own.
std::unique_ptr<VoteRun> start_votes(const InferencePlan& plan, ThreadPool& pool,
                                     const VoteSettings& settings, std::vector<VoteJob> jobs,
                                     std::function<void(const VoteResult&)> on_result);

/// "cpu winograd" where fast mode computes a layer otherwise than exact mode does: the same values
/// on every instruction set. "cpu exact avx512" in exact mode and where fast mode has nothing to
/// gain.
std::string describe_votes(const InferencePlan& plan, Mode mode);

}  // namespace smoothcert::cpu
