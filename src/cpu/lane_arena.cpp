// A lane program at work: one thread's activations, and the kernel of each step.
#include "cpu/lane_arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace smoothcert::cpu {

LaneArena::LaneArena(const LaneProgram& program) : program_(program) {
  // Channels are planes apart: with small pages a tile of positions would touch one a channel.
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const std::size_t wanted =
      std::max<std::size_t>((program.arena_floats_ + program.scratch_floats_) * sizeof(float), 64);
  const std::size_t page = wanted < kHugePage ? 64 : kHugePage;
  const std::size_t bytes = (wanted + page - 1) / page * page;
  memory_.reset(static_cast<float*>(std::aligned_alloc(page, bytes)));
  if (!memory_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (page == kHugePage) madvise(memory_.get(), bytes, MADV_HUGEPAGE);  // a wish: speed alone
#endif
}

void LaneArena::Free::operator()(float* p) const { std::free(p); }

float* LaneArena::at(int value, int group) {
  const LaneProgram::Value& v = program_.values_[static_cast<std::size_t>(value)];
  return memory_.get() + v.offset +
         (v.all_groups ? v.size * static_cast<std::size_t>(group) : std::size_t{0});
}

void LaneArena::execute(const LaneStep& step, int group) {
  const LaneKernels& k = program_.kernels_;
  const float* in = at(step.in, group);
  float* out = at(step.out, group);
  switch (step.kind) {
    case StepKind::conv2d:
      if (step.winograd)
        k.winograd_conv(step.tiles, in, step.residual ? at(step.in2, group) : nullptr, out,
                        memory_.get() + program_.arena_floats_);
      else if (step.residual)
        k.conv_residual(step.conv, step.conv.out_width, in, at(step.in2, group), out);
      else
        k.conv(step.conv, step.conv.out_width, in, out);
      break;
    case StepKind::linear:
    case StepKind::flatten:
      break;  // linear layers run in linear(); a flatten is no step
    case StepKind::affine:
      k.affine(step.channels, step.area, step.scale, step.shift, in, out);
      break;
    case StepKind::relu:
      k.relu(step.channels * step.area, in, out);
      break;
    case StepKind::maxpool:
      k.maxpool(step.pool, in, out);
      break;
    case StepKind::add:
      k.add(step.channels * step.area, in, at(step.in2, group), out);
      break;
    case StepKind::global_avg_pool:
      k.global_avg_pool(step.channels, step.area, 1.0f / static_cast<float>(step.area), in, out);
      break;
    case StepKind::window_conv:
      k.window_conv(step.window, in, out);
      break;
    case StepKind::window_max:
      k.window_max(step.window.shape, in, out);
      break;
    case StepKind::window_mean:
      k.window_mean(step.window.shape, in, out);
      break;
    case StepKind::activation:
      k.activate(step.activation, step.alpha, step.channels * step.area, in, out);
      break;
    case StepKind::prelu:
      k.prelu(step.channels, step.area, step.scale, in, out);
      break;
    case StepKind::softmax:
      k.softmax(step.channels, step.area, in, out);
      break;
    case StepKind::norm:
      k.norm(step.norm, in, out);
      break;
    case StepKind::arithmetic:
      k.arithmetic(step.arithmetic, in, at(step.in2, group), out);
      break;
    case StepKind::concat: {
      const auto append = [&](int value) {
        const std::size_t size = program_.values_[static_cast<std::size_t>(value)].size;
        out = std::copy_n(at(value, group), size, out);
      };
      append(step.in);
      append(step.in2);
      for (const int value : step.more) append(value);
      break;
    }
    case StepKind::constant:
      k.fill(step.out_size, step.scale, out);
      break;
  }
}

void LaneArena::linear(const LaneStep& step, int groups) {
  program_.kernels_.conv(step.conv, groups, at(step.in, 0), at(step.out, 0));
}

}  // namespace smoothcert::cpu
