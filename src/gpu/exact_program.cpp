// An inference plan as the fused exact kernel runs it: stages whose activations fit in shared
// memory, weights in the order in which threads read them.
#include "gpu/exact_program.hpp"

#include <algorithm>

namespace smoothcert::gpu {
namespace {

struct Mismatch {
  std::string why;
};

class Lowering {
 public:
  Lowering(const InferencePlan& plan, ExactProgram& program) : plan_(plan), program_(program) {}

  void run() {
    for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
      if (plan_.steps[s].in != static_cast<int>(s) - 1) throw Mismatch{"the network is no chain"};
    }
    program_.image_size = static_cast<std::int32_t>(plan_.input.size());
    program_.image_area = plan_.input.height * plan_.input.width;
    program_.classes = plan_.classes;
    program_.input = element_ops();
    while (next_ < plan_.steps.size()) {
      if (at(StepKind::flatten)) {
        ++next_;
        continue;
      }
      if (program_.stages == ExactProgram::kMostStages) throw Mismatch{"more than 8 layers"};
      ExactStage& stage = program_.stage[program_.stages++];
      if (at(StepKind::conv2d)) {
        convolution(stage);
      } else if (at(StepKind::linear)) {
        linear(stage);
      } else {
        throw Mismatch{"step " + std::to_string(next_) + " is of a kind that is not fused"};
      }
    }
    if (program_.stages == 0) throw Mismatch{"no layer"};
    place();
  }

 private:
  const PlanStep& step() const { return plan_.steps[next_]; }
  bool at(StepKind kind) const { return next_ < plan_.steps.size() && step().kind == kind; }

  std::int32_t append(std::size_t first, std::size_t count) {
    const auto at = static_cast<std::int32_t>(program_.weights.size());
    for (std::size_t i = 0; i < count; ++i) program_.weights.push_back(plan_.params[first + i]);
    return at;
  }

  ElementOps element_ops() {
    ElementOps ops;
    while (at(StepKind::relu) || at(StepKind::affine)) {
      if (ops.count == ElementOps::kMost) throw Mismatch{"more than three element-wise steps"};
      ElementOp& op = ops.op[ops.count++];
      op.relu = at(StepKind::relu);
      if (!op.relu) {
        const auto channels = static_cast<std::size_t>(step().in_shape.channels);
        op.scale = append(step().weight, channels);
        op.shift = append(step().bias, channels);
      }
      ++next_;
    }
    return ops;
  }

  void convolution(ExactStage& stage) {
    const PlanStep& conv = step();
    if ((conv.kernel != 3 && conv.kernel != 5) || conv.stride != 1 || conv.padding != 0 ||
        conv.in_shape.width % 2 != 0 || conv.in_shape.height % 2 != 0) {
      throw Mismatch{"step " + std::to_string(next_) +
                     ": only 3x3 and 5x5 convolutions of even images without padding are fused"};
    }
    stage.kernel = conv.kernel;
    stage.in_channels = conv.in_shape.channels;
    stage.in_height = conv.in_shape.height;
    stage.in_width = conv.in_shape.width;
    stage.out_channels = conv.out_shape.channels;
    stage.out_height = conv.out_shape.height;
    stage.out_width = conv.out_shape.width;
    stage.block = stage.out_channels % 5 == 0 ? 5 : 4;
    pack_convolution(stage, conv);
    ++next_;
    stage.before_pool = element_ops();
    if (at(StepKind::maxpool)) {
      if (step().kernel != 2 || step().stride != 2 || step().padding != 0) {
        throw Mismatch{"step " + std::to_string(next_) + ": only 2x2 pooling is fused"};
      }
      stage.pool = 2;
      stage.out_height /= 2;
      stage.out_width /= 2;
      ++next_;
      stage.after_pool = element_ops();
    }
  }

  // [block][c][ky][kx][8], channels beyond the last one zero.
  void pack_convolution(ExactStage& stage, const PlanStep& conv) {
    const int taps = stage.in_channels * stage.kernel * stage.kernel;
    std::vector<float>& w = program_.weights;
    w.resize((w.size() + 3) / 4 * 4);  // 16-byte groups
    stage.weight = static_cast<std::int32_t>(w.size());
    for (int first = 0; first < stage.out_channels; first += stage.block) {
      for (int i = 0; i < taps; ++i) {
        for (int c = first; c < first + kWeightGroup; ++c) {
          const bool real = c < first + stage.block && c < stage.out_channels;
          w.push_back(real ? plan_.params[conv.weight + static_cast<std::size_t>(c * taps + i)]
                           : 0.0f);
        }
      }
    }
    stage.bias = append(conv.bias, static_cast<std::size_t>(stage.out_channels));
  }

  void linear(ExactStage& stage) {
    const PlanStep& fc = step();
    stage.linear = true;
    stage.in_channels = static_cast<std::int32_t>(fc.in_shape.size());
    stage.out_channels = static_cast<std::int32_t>(fc.out_shape.size());
    stage.in_height = stage.in_width = stage.out_height = stage.out_width = 1;
    stage.weight = static_cast<std::int32_t>(program_.weights.size());
    for (int i = 0; i < stage.in_channels; ++i) {
      for (int o = 0; o < stage.out_channels; ++o) {
        program_.weights.push_back(
            plan_.params[fc.weight + static_cast<std::size_t>(o * stage.in_channels + i)]);
      }
    }
    stage.bias = append(fc.bias, static_cast<std::size_t>(stage.out_channels));
    ++next_;
    stage.before_pool = element_ops();
  }

  // Two areas that stages use in turn, and the logits apart: votes are read while the next samples'
  // noise is written.
  void place() {
    std::int32_t area[2] = {program_.image_size, 0};
    for (int s = 0; s < program_.stages - 1; ++s) {
      const ExactStage& stage = program_.stage[s];
      std::int32_t& size = area[(s + 1) % 2];
      size = std::max(size, stage.out_channels * stage.out_height * stage.out_width);
    }
    area[0] += area[0] % 2;  // pairs of values are read together
    area[1] += area[1] % 2;
    for (int s = 0; s < program_.stages; ++s) {
      program_.stage[s].in = s % 2 == 0 ? 0 : area[0];
      program_.stage[s].out = s % 2 == 0 ? area[0] : 0;
    }
    program_.logits = area[0] + area[1];
    program_.stage[program_.stages - 1].out = program_.logits;
    program_.sample_floats = (program_.logits + program_.classes + 1) / 2 * 2;
  }

  const InferencePlan& plan_;
  ExactProgram& program_;
  std::size_t next_ = 0;
};

}  // namespace

std::optional<ExactProgram> make_exact_program(const InferencePlan& plan, std::size_t shared,
                                               std::string* why_not) {
  ExactProgram program;
  try {
    Lowering(plan, program).run();
  } catch (const Mismatch& mismatch) {
    if (why_not) *why_not = mismatch.why;
    return std::nullopt;
  }
  const std::size_t sample = static_cast<std::size_t>(program.sample_floats) * sizeof(float);
  if (sample > shared) {
    if (why_not) *why_not = "the activations of one sample do not fit in shared memory";
    return std::nullopt;
  }
  // Four blocks an SM where they fit: more samples a block would only lengthen the waits.
  for (program.samples = 8; program.samples > 1; program.samples /= 2) {
    if (static_cast<std::size_t>(program.samples) * sample <= shared / 4) break;
  }
  return program;
}

}  // namespace smoothcert::gpu
