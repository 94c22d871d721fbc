// An inference plan made ready for the lane kernels: layers fused where that changes no bit,
// weights packed in the order they are read, activations given places in an arena.
#include "cpu/lane_program.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cpu/plan_bound.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert::cpu {
namespace {

bool is_pool2(const PlanStep& step) {
  return step.kind == StepKind::maxpool && step.kernel == 2 && step.stride == 2 &&
         step.padding == 0;
}

/// Taps of one axis of a convolution that lie inside its input, over all outputs.
std::uint64_t taps_inside(int input, int outputs, const PlanStep& step) {
  std::uint64_t inside = 0;
  for (int at = 0; at < outputs; ++at)
    for (int tap = 0; tap < step.kernel; ++tap) {
      const int from = at * step.stride - step.padding + tap;
      if (from >= 0 && from < input) ++inside;
    }
  return inside;
}

/// Products of a 3×3 convolution in tiles of 4×4 outputs.
std::uint64_t winograd_products(const PlanStep& step) {
  const auto tiles = [](int outputs) {
    return static_cast<std::uint64_t>((outputs + kWinogradTile - 1) / kWinogradTile);
  };
  return tiles(step.out_shape.height) * tiles(step.out_shape.width) * kWinogradPoints *
         static_cast<std::uint64_t>(step.in_shape.channels) *
         static_cast<std::uint64_t>(step.out_shape.channels);
}

/// Whether the products saved are worth the transforms, as measured some 500 products a tile and
/// channel: the same answer on every machine, since it decides what is computed.
bool winograd_pays(const PlanStep& step) {
  if (step.kind != StepKind::conv2d || step.kernel != 3 || step.stride != 1 || step.padding > 1)
    return false;
  const auto in = static_cast<std::uint64_t>(step.in_shape.channels);
  const auto out = static_cast<std::uint64_t>(step.out_shape.channels);
  const std::uint64_t products = winograd_products(step);
  const std::uint64_t transforms = products / kWinogradPoints / (in * out) * (200 * in + 300 * out);
  const std::uint64_t direct = in * out *
                               taps_inside(step.in_shape.height, step.out_shape.height, step) *
                               taps_inside(step.in_shape.width, step.out_shape.width, step);
  return 4 * (products + transforms) < 3 * direct;
}

/// How often each value of a plan is read; the last one, the logits, is read by the vote.
std::vector<int> count_uses(const InferencePlan& plan) {
  std::vector<int> uses(plan.steps.size(), 0);
  for (const PlanStep& step : plan.steps) {
    step.for_each_input([&](int v) {
      if (v >= 0) ++uses[static_cast<std::size_t>(v)];
    });
  }
  ++uses.back();
  return uses;
}

}  // namespace

bool fast_mode_differs(const InferencePlan& plan) {
  return std::any_of(plan.steps.begin(), plan.steps.end(), winograd_pays);
}

LaneProgram::LaneProgram(const InferencePlan& plan, const LaneKernels& kernels, double input_bound,
                         Mode mode)
    : kernels_(kernels), mode_(mode), classes_(plan.classes), input_size_(plan.input.size()) {
  lower(plan, activation_bound(plan, input_bound) < 1e38);
  place_values();
}

const float* LaneProgram::keep(std::vector<float> values) {
  kept_.push_back(std::make_unique<std::vector<float>>(std::move(values)));
  return kept_.back()->data();
}

/// Weights OIHW → [block][c][ky][kx][channel of the block]. Where the post-ops before a pooling
/// turn larger into smaller for a channel (a negative BatchNorm scale), its weights and bias are
/// negated: the convolution then yields exactly the negative, whose maximum is minus the minimum,
/// and `sign` turns it back.
void LaneProgram::pack(ConvStep& conv, const float* weight, const float* bias, bool flip_negative) {
  const auto outputs = static_cast<std::size_t>(conv.out_channels);
  const std::size_t taps = static_cast<std::size_t>(conv.in_channels) *
                           static_cast<std::size_t>(conv.kernel) *
                           static_cast<std::size_t>(conv.kernel);
  std::vector<float> sign(outputs, 1.0f);
  if (flip_negative)
    for (int i = 0; i < conv.post_ops; ++i)
      for (std::size_t o = 0; o < outputs; ++o)
        if (conv.post[i].scale != nullptr && conv.post[i].scale[o] < 0) sign[o] = -sign[o];
  conv.blocks = (conv.out_channels + kMaxOutBlock - 1) / kMaxOutBlock;
  const std::size_t even = outputs / static_cast<std::size_t>(conv.blocks);
  const std::size_t larger = outputs % static_cast<std::size_t>(conv.blocks);
  std::vector<float> packed, packed_bias;
  packed.reserve(taps * outputs);
  std::size_t first = 0;
  for (std::size_t b = 0; b < static_cast<std::size_t>(conv.blocks); ++b) {
    const std::size_t size = even + (b < larger ? 1 : 0);
    for (std::size_t t = 0; t < taps; ++t)
      for (std::size_t o = first; o < first + size; ++o)
        packed.push_back(weight[o * taps + t] * sign[o]);
    first += size;
  }
  for (std::size_t o = 0; o < outputs; ++o) packed_bias.push_back(bias[o] * sign[o]);
  conv.weights = keep(std::move(packed));
  conv.bias = keep(std::move(packed_bias));
  if (std::find(sign.begin(), sign.end(), -1.0f) != sign.end()) conv.sign = keep(std::move(sign));
}

/// Lets what follows a convolution or linear layer and reads nothing else, or nothing that is not
/// there yet, join in while it is still in the cache. Returns the plan step after the last that
/// joined.
std::size_t LaneProgram::join_followers(const InferencePlan& plan, const std::vector<int>& uses,
                                        std::size_t index, bool finite, LaneStep& lane) {
  ConvStep& conv = lane.conv;
  const float* params = plan.params.data();
  const PlanStep& step = plan.steps[index];
  std::size_t end = index + 1;
  for (; end < plan.steps.size(); ++end) {
    const PlanStep& next = plan.steps[end];
    const int last = static_cast<int>(end - 1);
    if (uses[end - 1] != 1) break;
    if (next.kind == StepKind::add && step.kind == StepKind::conv2d && !lane.residual &&
        !conv.pool && conv.post_ops < kMaxPostOps && (next.in == last) != (next.in2 == last)) {
      // The other value is there already, and a + b is b + a.
      conv.post[conv.post_ops++] = {nullptr, nullptr, true};
      lane.residual = true;
      lane.in2 = next.in == last ? next.in2 : next.in;
      continue;
    }
    if (next.in != last) break;
    if (next.kind == StepKind::relu || next.kind == StepKind::affine) {
      if (conv.post_ops == kMaxPostOps) break;
      conv.post[conv.post_ops++] =
          next.kind == StepKind::relu ? PostOp{} : PostOp{params + next.weight, params + next.bias};
    } else if (is_pool2(next) && finite && step.kind != StepKind::linear && !conv.pool &&
               !lane.residual) {
      // Post-ops so far are monotone in each channel: the pooling may as well come first.
      conv.pool = pools_fused_ = true;
      pack(conv, params + step.weight, params + step.bias, true);
    } else {
      break;
    }
  }
  if (lane.winograd)
    pack_winograd(lane, step, params);
  else if (!conv.pool)
    pack(conv, params + step.weight, params + step.bias, false);
  return end;
}

/// U = G g Gᵀ in double, with the scale of a BatchNorm that follows.
void LaneProgram::pack_winograd(LaneStep& lane, const PlanStep& step, const float* params) {
  static constexpr double kG[6][3] = {{1.0 / 4, 0, 0},
                                      {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                      {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                      {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                      {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                      {0, 0, 1}};
  ConvStep& conv = lane.conv;
  const auto outputs = static_cast<std::size_t>(conv.out_channels);
  const auto inputs = static_cast<std::size_t>(conv.in_channels);
  std::vector<double> scale(outputs, 1.0);
  std::vector<float> bias(params + step.bias, params + step.bias + outputs);
  if (conv.post_ops > 0 && conv.post[0].scale != nullptr) {
    for (std::size_t o = 0; o < outputs; ++o) {
      scale[o] = double{conv.post[0].scale[o]};
      bias[o] = static_cast<float>(double{bias[o]} * scale[o] + double{conv.post[0].shift[o]});
    }
    std::copy(conv.post + 1, conv.post + conv.post_ops, conv.post);
    --conv.post_ops;
  }
  // By tile where all transformed weights stay in the L2 cache.
  lane.tiles.by_tile = kWinogradPoints * inputs * outputs * sizeof(float) <= (600 << 10);
  const int most = lane.tiles.by_tile ? winograd_outputs_at_once(kernels_.lanes) : kMaxOutBlock;
  conv.blocks = (conv.out_channels + most - 1) / most;
  std::vector<std::size_t> place(6);  // of each column of points
  for (std::size_t i = 0; i < 6; ++i) place[static_cast<std::size_t>(kWinogradColumns[i])] = i;
  const std::size_t plane = inputs * outputs;
  std::vector<float> packed(kWinogradPoints * plane);
  const auto blocks = static_cast<std::size_t>(conv.blocks);
  for (std::size_t block = 0, first = 0; block < blocks; ++block) {
    const std::size_t size = outputs / blocks + (block < outputs % blocks ? 1 : 0);
    for (std::size_t o = 0; o < size; ++o)
      for (std::size_t c = 0; c < inputs; ++c) {
        const float* g = params + step.weight + ((first + o) * inputs + c) * 9;
        double rows[6][3] = {};
        for (std::size_t y = 0; y < 6; ++y)
          for (std::size_t kx = 0; kx < 3; ++kx)
            for (std::size_t ky = 0; ky < 3; ++ky)
              rows[y][kx] += kG[y][ky] * double{g[ky * 3 + kx]};
        for (std::size_t y = 0; y < 6; ++y)
          for (std::size_t x = 0; x < 6; ++x) {
            double sum = 0;
            for (std::size_t kx = 0; kx < 3; ++kx) sum += kG[x][kx] * rows[y][kx];
            const std::size_t at =
                lane.tiles.by_tile
                    ? place[x] * 6 * plane + (first * inputs + c * size) * 6 + y * size + o
                    : (y * 6 + x) * plane + first * inputs + c * size + o;
            packed[at] = static_cast<float>(sum * scale[first + o]);
          }
      }
    first += size;
  }
  conv.weights = keep(std::move(packed));
  conv.bias = keep(std::move(bias));
}

/// A convolution or linear layer with what joins it; returns the plan step after those.
std::size_t LaneProgram::lower_conv(const InferencePlan& plan, const std::vector<int>& uses,
                                    std::size_t index, bool finite, LaneStep& lane) {
  const PlanStep& step = plan.steps[index];
  const auto lanes = static_cast<std::size_t>(kernels_.lanes);
  ConvStep& conv = lane.conv;
  const bool linear = step.kind == StepKind::linear;
  lane.across_groups = linear;
  conv.in_channels = linear ? static_cast<int>(step.in_shape.size()) : step.in_shape.channels;
  conv.in_height = linear ? 1 : step.in_shape.height;
  conv.in_width = linear ? 1 : step.in_shape.width;
  conv.kernel = linear ? 1 : step.kernel;
  conv.stride = linear ? 1 : step.stride;
  conv.padding = linear ? 0 : step.padding;
  conv.out_channels = step.out_shape.channels;
  lane.winograd = mode_ == Mode::fast && winograd_pays(step);
  const std::size_t end = join_followers(plan, uses, index, finite && !lane.winograd, lane);

  const ActivationShape& out = plan.steps[end - 1].out_shape;
  conv.out_height = linear ? 1 : out.height;
  conv.out_width = linear ? 1 : out.width;
  const auto area = static_cast<std::size_t>(out.height) * static_cast<std::size_t>(out.width);
  conv.in_x = lanes;
  conv.in_y = static_cast<std::size_t>(conv.in_width) * lanes;
  conv.in_c = static_cast<std::size_t>(conv.in_height) * conv.in_y;
  conv.out_x = lanes;
  conv.out_y = static_cast<std::size_t>(out.width) * lanes;
  conv.out_c = area * lanes;
  if (linear) {  // columns are groups
    conv.in_x = step.in_shape.size() * lanes;
    conv.out_x = out.size() * lanes;
    conv.out_c = lanes;
  }
  if (lane.winograd) {
    WinogradStep& tiles = lane.tiles;
    const auto inputs = static_cast<std::size_t>(conv.in_channels);
    const auto outputs = static_cast<std::size_t>(conv.out_channels);
    if (tiles.by_tile) {
      tiles.scratch_floats = (2 * 6 * inputs + kWinogradTile * 6 * outputs) * lanes;
    } else {
      // An odd number of vectors apart, so that the points of a value share no set of the cache.
      tiles.values_point = (inputs * kWinogradTiles + 3) * lanes;
      tiles.scratch_floats =
          kWinogradPoints * tiles.values_point + kWinogradSums * kWinogradTiles * outputs * lanes;
    }
    tiles.tiles_y = (conv.out_height + kWinogradTile - 1) / kWinogradTile;
    tiles.tiles_x = (conv.out_width + kWinogradTile - 1) / kWinogradTile;
    tiles.conv = conv;
    scratch_floats_ = std::max(scratch_floats_, tiles.scratch_floats);
    lane.multiply_adds = winograd_products(step);
    return end;
  }
  if (!linear && conv.kernel == 1 && conv.stride == 1 && conv.padding == 0 && !conv.pool) {
    // Rows do not matter: one long one leaves fewer columns over.
    conv.in_width = conv.out_width = conv.in_width * conv.in_height;
    conv.in_height = conv.out_height = 1;
    conv.in_y = conv.in_c;
    conv.out_y = conv.out_c;
  }
  lane.multiply_adds = static_cast<std::uint64_t>(conv.in_channels) *
                       static_cast<std::uint64_t>(conv.out_channels) *
                       (linear ? 1
                               : taps_inside(step.in_shape.height, step.out_shape.height, step) *
                                     taps_inside(step.in_shape.width, step.out_shape.width, step));
  return end;
}

void LaneProgram::lower(const InferencePlan& plan, bool finite) {
  const auto lanes = static_cast<std::size_t>(kernels_.lanes);
  const float* params = plan.params.data();
  const std::size_t count = plan.steps.size();
  const std::vector<int> uses = count_uses(plan);

  values_.push_back({input_size_ * lanes, 0, false, -1, -1});
  std::vector<int> value_of(count, -1);  // plan value → program value
  const auto value = [&](int v) { return v < 0 ? 0 : value_of[static_cast<std::size_t>(v)]; };

  for (std::size_t i = 0; i < count;) {
    const PlanStep& step = plan.steps[i];
    if (step.kind == StepKind::flatten) {  // the same memory
      value_of[i++] = value(step.in);
      continue;
    }
    LaneStep lane;
    lane.kind = step.kind;
    lane.in = value(step.in);
    lane.in2 = step.arity > 1 ? value(step.in2) : 0;
    for (const int v : step.more) lane.more.push_back(value(v));
    lane.out_size = step.out_shape.size();
    lane.window = {step.window, params + step.weight, params + step.bias};
    lane.activation = step.activation;
    lane.alpha = step.alpha;
    lane.norm = {static_cast<std::size_t>(step.groups),
                 static_cast<std::size_t>(step.in_shape.channels),
                 static_cast<std::size_t>(step.in_shape.height) *
                     static_cast<std::size_t>(step.in_shape.width),
                 step.eps,
                 step.value_weights,
                 params + step.weight,
                 params + step.bias};
    lane.arithmetic = step.arithmetic;
    lane.channels = static_cast<std::size_t>(step.in_shape.channels);
    lane.area = static_cast<std::size_t>(step.in_shape.height) *
                static_cast<std::size_t>(step.in_shape.width);
    lane.scale = params + step.weight;
    lane.shift = params + step.bias;
    lane.pool = {
        step.in_shape.channels, step.in_shape.height, step.in_shape.width, step.out_shape.height,
        step.out_shape.width,   step.kernel,          step.stride,         step.padding};
    const bool conv = step.kind == StepKind::conv2d || step.kind == StepKind::linear;
    const std::size_t end = conv ? lower_conv(plan, uses, i, finite, lane) : i + 1;
    if (lane.residual) lane.in2 = value(lane.in2);
    const int index = static_cast<int>(steps_.size());
    lane.out = static_cast<int>(values_.size());
    values_.push_back({plan.steps[end - 1].out_shape.size() * lanes, 0, false, index, index});
    for (std::size_t j = i; j < end; ++j) value_of[j] = lane.out;
    step.for_each_input([&](int v) { values_[static_cast<std::size_t>(value(v))].last = index; });
    if (lane.residual) {
      values_[static_cast<std::size_t>(lane.in2)].last = index;
      if (lane.in2 != lane.in) values_.back().onto = lane.in2;
    }
    if (step.kind == StepKind::window_conv)
      lane.multiply_adds = step.out_shape.size() *
                           static_cast<std::uint64_t>(step.in_shape.channels / step.window.groups) *
                           static_cast<std::uint64_t>(step.window.y.kernel * step.window.x.kernel);
    multiply_adds_ += lane.multiply_adds;
    steps_.push_back(lane);
    i = end;
  }
  logits_ = value_of[count - 1];
}

void LaneProgram::place_values() {
  // Steps before the first linear layer run group by group, so that their activations stay in the
  // cache; what crosses over exists once per group.
  group_steps_ = 0;
  while (group_steps_ < steps_.size() && !steps_[group_steps_].across_groups) ++group_steps_;
  const int split = static_cast<int>(group_steps_);
  values_[static_cast<std::size_t>(logits_)].last = static_cast<int>(steps_.size());
  for (Value& v : values_) v.all_groups = v.first >= split || v.last >= split;

  // First fit: a value may reuse the room of those read for the last time before it is written. A
  // value that exists for all groups lives from the first group's fill to the last group's read.
  const auto begin = [&](const Value& v) { return v.all_groups && v.first < split ? -1 : v.first; };
  const auto overlap = [&](const Value& a, const Value& b) {
    return begin(a) <= b.last && begin(b) <= a.last;
  };
  std::vector<const Value*> placed;
  for (Value& v : values_) {
    const auto extent = [](const Value& x) {
      return (x.size * (x.all_groups ? kGroups : 1) + 15) / 16 * 16;
    };
    std::sort(placed.begin(), placed.end(),
              [](const Value* a, const Value* b) { return a->offset < b->offset; });
    std::size_t offset = 0;
    const Value* under = v.onto < 0 ? nullptr : &values_[static_cast<std::size_t>(v.onto)];
    if (under != nullptr &&
        (under->last != v.first || under->size != v.size || under->all_groups || v.all_groups))
      under = nullptr;
    if (under != nullptr) offset = under->offset;  // nothing else that lives now is there
    for (const Value* other : placed)
      if (under == nullptr && overlap(*other, v) && other->offset < offset + extent(v) &&
          offset < other->offset + extent(*other))
        offset = other->offset + extent(*other);
    v.offset = offset;
    arena_floats_ = std::max(arena_floats_, offset + extent(v));
    placed.push_back(&v);
  }
}

}  // namespace smoothcert::cpu
