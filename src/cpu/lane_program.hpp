// An inference plan made ready for the lane kernels: layers fused where that changes no bit,
// weights packed in the order they are read, activations given places in an arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/lane_kernels.hpp"
#include "smoothcert/inference_plan.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert::cpu {

/// One kernel call (per lane group unless `across_groups`). Values are activation numbers of
/// LaneProgram::values.
struct LaneStep {
  StepKind kind{};
  bool across_groups = false;  ///< linear: one call for all groups of the batch
  int in = 0, in2 = 0, out = 0;
  bool residual = false;  ///< conv: adds the value in2
  bool winograd = false;  ///< conv: by `tiles`, whose ConvStep is moved there
  ConvStep conv;          ///< conv2d and linear
  WinogradStep tiles;
  PoolStep pool;
  std::size_t channels = 0, area = 0;  ///< of the input
  const float* scale = nullptr;        ///< affine; prelu: slopes; constant: values
  const float* shift = nullptr;
  std::size_t out_size = 0;         ///< values
  std::uint64_t multiply_adds = 0;  ///< per input, as in LaneProgram::multiply_adds()
  std::vector<int> more;            ///< concat: the third input and what follows it
  WindowStep window;
  Activation activation{};
  float alpha = 0;
  NormStep norm;
  ArithmeticShape arithmetic;
};

/// Whether fast mode computes any step of the plan otherwise than exact mode does.
bool fast_mode_differs(const InferencePlan& plan);

class LaneProgram {
 public:
  /// `input_bound`: the network input never exceeds it in magnitude. Where that proves that nothing
  /// can overflow (so no NaN can arise), pooling is fused into the convolution before it.
  /// `mode`: exact, or fast with Winograd's products in those 3×3 convolutions where they are
  /// fewer. Keeps pointers into `plan`.
  LaneProgram(const InferencePlan& plan, const LaneKernels& kernels, double input_bound,
              Mode mode = Mode::exact);

  [[nodiscard]] const LaneKernels& kernels() const { return kernels_; }
  [[nodiscard]] int classes() const { return classes_; }
  [[nodiscard]] int batch() const { return kGroups * kernels_.lanes; }
  [[nodiscard]] std::size_t input_size() const { return input_size_; }
  [[nodiscard]] bool pools_fused() const { return pools_fused_; }

  [[nodiscard]] const std::vector<LaneStep>& steps() const { return steps_; }

  /// Multiply-adds per input, without those of taps in the padding, which are skipped; of a
  /// convolution of fast mode its products.
  [[nodiscard]] std::uint64_t multiply_adds() const { return multiply_adds_; }

 private:
  friend class LaneArena;
  struct Value {
    std::size_t size = 0;     ///< floats of one group
    std::size_t offset = 0;   ///< in the arena
    bool all_groups = false;  ///< kGroups copies exist at once
    int first = 0, last = 0;  ///< steps that write it first and read it last
    int onto = -1;            ///< may take the place of this value, which its step reads last
  };

  void lower(const InferencePlan& plan, bool finite);
  std::size_t lower_conv(const InferencePlan& plan, const std::vector<int>& uses, std::size_t index,
                         bool finite, LaneStep& lane);
  std::size_t join_followers(const InferencePlan& plan, const std::vector<int>& uses,
                             std::size_t index, bool finite, LaneStep& lane);
  void pack_winograd(LaneStep& lane, const PlanStep& step, const float* params);
  void place_values();
  void pack(ConvStep& conv, const float* weight, const float* bias, bool flip_negative);
  const float* keep(std::vector<float> values);

  const LaneKernels& kernels_;
  Mode mode_ = Mode::exact;
  int classes_ = 0;
  std::size_t input_size_ = 0, arena_floats_ = 0, scratch_floats_ = 0;
  std::uint64_t multiply_adds_ = 0;
  bool pools_fused_ = false;
  std::size_t group_steps_ = 0;  ///< leading steps that run group by group
  int logits_ = 0;
  std::vector<LaneStep> steps_;
  std::vector<Value> values_;  ///< [0] is the image
  std::vector<std::unique_ptr<std::vector<float>>> kept_;
};

}  // namespace smoothcert::cpu
