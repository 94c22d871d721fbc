// The hot loops of exact evaluation, compiled once per instruction set (lane_kernels_*.cpp) and
// reached through one table of function pointers each.
//
// An activation is [channel][row][column][lane] floats, 64-byte aligned; strides are in floats and
// include the lanes. Only plain structs cross this boundary: a template instantiated in an AVX-512
// unit must never be the copy that baseline code links to.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/isa.hpp"
#include "smoothcert/device/activations.hpp"
#include "smoothcert/device/arithmetic.hpp"
#include "smoothcert/device/windows.hpp"

namespace smoothcert::cpu {

/// Blocking, in one place. A convolution tile keeps kMaxOutBlock output channels × P positions in
/// registers while it walks the taps; per tap it loads P inputs and kMaxOutBlock broadcast weights.
///  - AVX-512, 32 registers: P = 2×2, 24 accumulators + 4 inputs, the weights as memory operands.
///    24 fused multiply-adds for 10 loads: bound by the multiply-adds (Zen 4: one a cycle, two
///    loads a cycle); 4 cycles of latency need only 4 accumulators, the rest saves loads.
///  - AVX2, 16 registers: P = 1×2, 12 accumulators + 2 inputs + 1 weight. 12 multiply-adds (6
///    cycles at two a cycle) for 8 loads (4 cycles at two a cycle).
/// kGroups lane groups share one pass over the weights of a linear layer, where they take the place
/// of the positions.
inline constexpr int kMaxOutBlock = 6;
inline constexpr int kGroups = 4;
inline constexpr int kMaxPostOps = 4;

/// Applied to each output of a convolution while it is in the cache: relu, with `scale` an affine
/// step (per output channel), or the addition of another value of the output's shape.
struct PostOp {
  const float* scale = nullptr;
  const float* shift = nullptr;
  bool add = false;
};

/// A convolution or linear layer with what directly follows it.
struct ConvStep {
  int in_channels = 0, in_height = 0, in_width = 0;
  int kernel = 1, stride = 1, padding = 0;
  int out_channels = 0, out_height = 0, out_width = 0;  ///< after pooling
  bool pool = false;  ///< 2×2 max, stride 2, taken before the post-ops (finite values only)
  std::size_t in_c = 0, in_y = 0, in_x = 0;     ///< strides of the input
  std::size_t out_c = 0, out_y = 0, out_x = 0;  ///< strides of the output
  int blocks = 0;                  ///< output channels are cut evenly into this many blocks
  const float* weights = nullptr;  ///< [block][c][ky][kx][channel of the block]
  const float* bias = nullptr;     ///< [out_channels]
  const float* sign = nullptr;  ///< [out_channels] ±1 applied after pooling, null when all are +1
  int post_ops = 0;
  PostOp post[kMaxPostOps];
};

/// Fast mode's 3×3 convolution of stride 1, F(4×4, 3×3): outputs in tiles of 4×4, each from 6×6
/// inputs, which are transformed to as many points; kWinogradTiles tiles at once.
inline constexpr int kWinogradTile = 4, kWinogradPoints = 36, kWinogradTiles = 4;
/// Vectors of a tile's sums: an odd number, so that neighbouring tiles share no set of the cache.
inline constexpr int kWinogradSums = kWinogradPoints + 1;
/// Output channels that one column of six points keeps in registers.
constexpr int winograd_outputs_at_once(int lanes) { return lanes == 16 ? 4 : 2; }
/// The columns of points in the order in which their inputs are transformed, two at a time.
inline constexpr int kWinogradColumns[6] = {0, 5, 1, 2, 3, 4};

struct WinogradStep {
  /// Few channels: tile by tile, so that what lies between stays in L1; all weights pass through
  /// for each. Many: kWinogradTiles tiles, so that weights pass through less often.
  bool by_tile = false;
  /// weights, transformed: [point][block][c][channel of the block], or by tile
  /// [column][block][c][point of the column][channel of the block]
  ConvStep conv;
  int tiles_y = 0, tiles_x = 0;
  std::size_t values_point = 0;    ///< stride of a point in the scratch; not by tile
  std::size_t scratch_floats = 0;  ///< inputs and sums
};

struct PoolStep {
  int channels = 0, in_height = 0, in_width = 0, out_height = 0, out_width = 0;
  int kernel = 0, stride = 1, padding = 0;
};

/// A convolution or pooling whose windows the kernels above do not know.
struct WindowStep {
  WindowShape shape;
  const float* weights = nullptr;  ///< convolution: O × C/groups × ky × kx
  const float* bias = nullptr;
};

/// Normalisation over each of `groups` equal parts of the channels.
struct NormStep {
  std::size_t groups = 1, channels = 0, area = 0;
  float eps = 0;
  bool value_weights = false;  ///< scale and shift are per value, not per channel
  const float* scale = nullptr;
  const float* shift = nullptr;
};

/// Noise for one lane group: lane l holds sample first_sample + l of one image.
struct NoiseStep {
  const std::uint8_t* pixels = nullptr;
  std::size_t count = 0;
  std::uint64_t seed = 0;
  std::uint32_t purpose = 0, image = 0, first_sample = 0;
  bool clamp = true;
  float sigma = 0;                     ///< continuous noise
  const std::uint32_t* hot = nullptr;  ///< lattice noise: the alias table
  const std::uint32_t* cold = nullptr;
  int log2_columns = 0, offset = 0;
  std::uint32_t width = 0;  ///< uniform and splitting noise: W
};

struct LaneKernels {
  Isa isa;
  int lanes;
  void (*lattice_noise)(const NoiseStep& step, float* out);
  void (*gaussian_noise)(const NoiseStep& step, float* out);
  void (*uniform_noise)(const NoiseStep& step, float* out);
  /// Lane l holds split first_sample + l; purpose and image do not matter.
  void (*split_noise)(const NoiseStep& step, float* out);
  /// `columns` replaces step.out_width: a linear layer's columns are lane groups.
  void (*conv)(const ConvStep& step, int columns, const float* in, float* out);
  /// A convolution one of whose post-ops is an addition, of `residual`, whose place `out` may take.
  void (*conv_residual)(const ConvStep& step, int columns, const float* in, const float* residual,
                        float* out);
  /// `residual` and `out` as above; `scratch`: step.scratch_floats.
  void (*winograd_conv)(const WinogradStep& step, const float* in, const float* residual,
                        float* out, float* scratch);
  void (*maxpool)(const PoolStep& step, const float* in, float* out);
  void (*relu)(std::size_t count, const float* in, float* out);
  void (*affine)(std::size_t channels, std::size_t area, const float* scale, const float* shift,
                 const float* in, float* out);
  void (*add)(std::size_t count, const float* a, const float* b, float* out);
  void (*global_avg_pool)(std::size_t channels, std::size_t area, float share, const float* in,
                          float* out);
  void (*window_conv)(const WindowStep& step, const float* in, float* out);
  void (*window_max)(const WindowShape& shape, const float* in, float* out);
  void (*window_mean)(const WindowShape& shape, const float* in, float* out);
  void (*activate)(Activation kind, float alpha, std::size_t count, const float* in, float* out);
  void (*prelu)(std::size_t channels, std::size_t area, const float* slopes, const float* in,
                float* out);
  void (*softmax)(std::size_t channels, std::size_t area, const float* in, float* out);
  void (*norm)(const NormStep& step, const float* in, float* out);
  void (*arithmetic)(const ArithmeticShape& shape, const float* a, const float* b, float* out);
  /// The same values in every lane.
  void (*fill)(std::size_t count, const float* values, float* out);
  /// Adds the votes of the first `valid` lanes; a NaN logit counts as invalid.
  void (*vote)(int classes, int valid, const float* logits, std::uint64_t* counts,
               std::uint64_t* invalid);
};

extern const LaneKernels lane_kernels_baseline, lane_kernels_avx2, lane_kernels_avx512;

/// Throws UsageError where active_isa() does.
const LaneKernels& active_lane_kernels();

}  // namespace smoothcert::cpu
