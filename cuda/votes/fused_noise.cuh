// Noise of the fused kernels, born in the registers that own the pixels.
//
// Lane 4g + t of a warp owns image rows 4q + t of samples g and g + 8. One call of generate()
// makes the four pixels 4j..4j+3 of such a row, a Philox group, for both samples: two cells of two
// neighbouring pixels each, ready as A registers of a matrix product.
//
// Lattice noise enters as integers: the bits of an integer 0..2047 are the fp16 number v·2^−24 (a
// subnormal, or the first binade above, which has the same spacing), so a clamped pixel needs no
// conversion and no rounding; the weights carry 2^24/255.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "cuda/runtime/tensor_core.cuh"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/philox_split.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

inline constexpr int kImageSide = 28, kGroupsPerRow = 7, kImageGroups = 196, kImagePixels = 784;

/// What the kernels' noise needs, in the parameter bank.
struct FusedNoise {
  device::PhiloxKeys keys;
  std::uint64_t seed = 0;
  device::LatticeView table;                         ///< in global memory
  std::uint32_t log2_columns = 0, column_shift = 0;  ///< L, 32 − L
  std::uint32_t columns = 0, column_mask = 0;        ///< 2^L; 2^L − 1 in both halves
  float radius_scale = 0, radius_offset = 0;         ///< −2 ln 2 σ², and 32 times that, negated
};

/// What identifies a draw besides the pixel: image, purpose, and the sample of lane group g = 0.
struct FusedStream {
  std::uint32_t image, purpose, first_sample;
};

/// The two samples of a lane, g and g + 8, and the round keys.
struct LaneSamples {
  device::PhiloxSample half[2];
  device::PhiloxKeys keys;
};

/// Row of this lane's first sample in the tile of its warp (16 samples) or warpgroup (64).
SMOOTHCERT_LEAF unsigned tile_row(bool warpgroup) {
  return (warpgroup ? threadIdx.x % 128 / 32 * 16 : 0u) + threadIdx.x % 32 / 4;
}

/// The cells of two samples: [cell][sample].
struct FourCells {
  Half2 cell[2][2];
};

template <bool kClamp, bool kWarpgroup = false>
struct LatticeNoise {
  static constexpr int kTableWords = 4096;
  SMOOTHCERT_LEAF unsigned lane_row() { return tile_row(kWarpgroup); }
  struct alignas(8) PixelQuad {
    std::uint32_t pair[2];  ///< two signed 16-bit values pixel − offset each
  };

  static SMOOTHCERT_HD PixelQuad load_pixels(const FusedNoise& noise, const std::uint8_t* p) {
    const auto value = [&](int i) {
      return static_cast<std::uint32_t>(p[i] - noise.table.offset) & 0xFFFFu;
    };
    return {{value(0) | value(1) << 16, value(2) | value(3) << 16}};
  }

  /// Column or alias of two words, packed; `equal` falls below 2^L where a word leaves it open.
  SMOOTHCERT_LEAF std::uint32_t draw_pair(const FusedNoise& noise, const std::uint32_t* hot,
                                          std::uint32_t u0, std::uint32_t u1,
                                          std::uint32_t& equal) {
    // Turned by L bits a word reads (fraction, column), as an entry reads (threshold, alias): the
    // smaller of the two ends in the column where the fraction is below the threshold, in the alias
    // where it is above.
    const std::uint32_t r0 = rotate_left(u0, noise.log2_columns);
    const std::uint32_t r1 = rotate_left(u1, noise.log2_columns);
    const std::uint32_t h0 = hot[u0 >> noise.column_shift], h1 = hot[u1 >> noise.column_shift];
    equal = min3(equal, r0 ^ h0, r1 ^ h1);
    const std::uint32_t v0 = r0 < h0 ? r0 : h0, v1 = r1 < h1 ? r1 : h1;
    return permute_bytes(v0, v1, 0x5410) & noise.column_mask;
  }

  /// Packed columns and pixels → two halves of value v·2^−24.
  SMOOTHCERT_LEAF Half2 cell(std::uint32_t columns, std::uint32_t pixels) {
    if constexpr (kClamp) return add_clamp_s16x2(columns, pixels, 0x00FF00FFu);
    const auto low = static_cast<std::int16_t>(columns + pixels);
    const auto high = static_cast<std::int16_t>((columns >> 16) + (pixels >> 16));
    return pack_halves(static_cast<float>(low) * 0x1p-24f, static_cast<float>(high) * 0x1p-24f);
  }

  /// Column of pixel i of a group, with the refining word where the first one leaves it open.
  SMOOTHCERT_LEAF std::uint32_t exact_column(const FusedNoise& noise, const FusedStream& stream,
                                             std::uint32_t sample, std::uint32_t group,
                                             std::uint32_t i) {
    const auto word = [&](std::uint32_t purpose) {
      const device::PhiloxWords words =
          device::philox_at(noise.seed, purpose, stream.image, sample, group);
      return i < 2 ? (i == 0 ? words.v[0] : words.v[1]) : (i == 2 ? words.v[2] : words.v[3]);
    };
    const int n = device::lattice_noise(noise.table, word(stream.purpose),
                                        [&] { return word(stream.purpose | kRefineTag); });
    return static_cast<std::uint32_t>(n + noise.table.offset);
  }

  /// The rare case that a word equals its threshold (about once in a million): all four again.
  SMOOTHCERT_COLD uint2 resolve(const FusedNoise& noise, const FusedStream& stream,
                                std::uint32_t sample, std::uint32_t group) {
    std::uint32_t columns[2] = {0, 0};
    for (std::uint32_t i = 0; i < 4; ++i) {
      columns[i / 2] |= exact_column(noise, stream, sample, group, i) << (16 * (i % 2));
    }
    return uint2{columns[0], columns[1]};
  }

  SMOOTHCERT_LEAF void generate(const FusedNoise& noise, const std::uint32_t* hot,
                                const FusedStream& stream, const LaneSamples& samples,
                                std::uint32_t group, const device::PhiloxGroup& groups,
                                const PixelQuad& pixels, FourCells& out) {
    std::uint32_t columns[2][2], equal = ~0u;
    SMOOTHCERT_UNROLL
    for (int s = 0; s < 2; ++s) {
      const device::PhiloxWords u = device::philox_join(samples.keys, groups, samples.half[s]);
      columns[s][0] = draw_pair(noise, hot, u.v[0], u.v[1], equal);
      columns[s][1] = draw_pair(noise, hot, u.v[2], u.v[3], equal);
    }
    if constexpr (kWarpgroup) {
      // A call would make the compiler wait for every wgmma: resolve in place, all lanes together.
      if (__any_sync(0xFFFFFFFFu, equal < noise.columns)) {
        SMOOTHCERT_LOOP
        for (std::uint32_t k = 0; k < 8; ++k) {
          const std::uint32_t sample = stream.first_sample + lane_row() + 8 * (k / 4);
          const std::uint32_t column = exact_column(noise, stream, sample, group, k % 4);
          const std::uint32_t shift = 16 * (k % 2), keep = 0xFFFF0000u >> shift;
          SMOOTHCERT_UNROLL
          for (std::uint32_t r = 0; r < 4; ++r) {
            std::uint32_t& pair = columns[r / 2][r % 2];
            if (k / 2 == r) pair = (pair & keep) | column << shift;
          }
        }
      }
    } else if (equal < noise.columns) {
      for (std::uint32_t s = 0; s < 2; ++s) {
        const uint2 exact = resolve(noise, stream, stream.first_sample + lane_row() + 8 * s, group);
        columns[s][0] = exact.x;
        columns[s][1] = exact.y;
      }
    }
    SMOOTHCERT_UNROLL
    for (int s = 0; s < 2; ++s) {
      SMOOTHCERT_UNROLL
      for (int c = 0; c < 2; ++c) out.cell[c][s] = cell(columns[s][c], pixels.pair[c]);
    }
  }

  /// The four pixels of a group for the one sample that `stream` names: two words of two halves.
  SMOOTHCERT_LEAF uint2 one_sample(const FusedNoise& noise, const std::uint32_t* hot,
                                   const FusedStream& stream, std::uint32_t group,
                                   const PixelQuad& pixels) {
    const device::PhiloxWords u =
        device::philox_at(noise.seed, stream.purpose, stream.image, stream.first_sample, group);
    std::uint32_t equal = ~0u;
    uint2 columns{draw_pair(noise, hot, u.v[0], u.v[1], equal),
                  draw_pair(noise, hot, u.v[2], u.v[3], equal)};
    if (equal < noise.columns) columns = resolve(noise, stream, stream.first_sample, group);
    return uint2{cell(columns.x, pixels.pair[0]), cell(columns.y, pixels.pair[1])};
  }
};

/// Continuous noise by Box & Muller with the special-function unit: two words a pair, 32 bits for
/// the radius, 23 for the angle. Rounded to fp16 with the pixel added.
template <bool kClamp, bool kWarpgroup = false>
struct GaussianNoise {
  static constexpr int kTableWords = 0;
  SMOOTHCERT_LEAF unsigned lane_row() { return tile_row(kWarpgroup); }
  struct alignas(16) PixelQuad {
    float value[4];
  };

  static SMOOTHCERT_HD PixelQuad load_pixels(const FusedNoise&, const std::uint8_t* p) {
    PixelQuad quad;
    for (int i = 0; i < 4; ++i) quad.value[i] = static_cast<float>(p[i]) * device::kPixelScale;
    return quad;
  }

  SMOOTHCERT_LEAF float noisy(float radius, float trig, float pixel) {
    if constexpr (kClamp) return fma_saturate(radius, trig, pixel);
    return device::fused_multiply_add(radius, trig, pixel);
  }

  /// Two noisy pixels from the two words of a pair.
  SMOOTHCERT_LEAF Half2 pair(const FusedNoise& noise, std::uint32_t u0, std::uint32_t u1,
                             float left, float right) {
    // σ·√(−2 ln(u·2^−32)); a zero word gives an infinite logarithm, so count from ½.
    const float word = static_cast<float>(u0) + 0.5f;
    const float square =
        device::fused_multiply_add(approximate_log2(word), noise.radius_scale, noise.radius_offset);
    const float radius = approximate_sqrt(square);
    const float angle = static_cast<float>(u1 >> 9) * 7.49014056584785e-7f;
    return pack_halves(noisy(radius, approximate_cos(angle), left),
                       noisy(radius, approximate_sin(angle), right));
  }

  SMOOTHCERT_LEAF void generate(const FusedNoise& noise, const std::uint32_t*, const FusedStream&,
                                const LaneSamples& samples, std::uint32_t,
                                const device::PhiloxGroup& groups, const PixelQuad& pixels,
                                FourCells& out) {
    SMOOTHCERT_UNROLL
    for (int s = 0; s < 2; ++s) {
      const device::PhiloxWords u = device::philox_join(samples.keys, groups, samples.half[s]);
      SMOOTHCERT_UNROLL
      for (int c = 0; c < 2; ++c) {
        out.cell[c][s] =
            pair(noise, u.v[2 * c], u.v[2 * c + 1], pixels.value[2 * c], pixels.value[2 * c + 1]);
      }
    }
  }

  /// The four pixels of a group for the one sample that `stream` names: two words of two halves.
  SMOOTHCERT_LEAF uint2 one_sample(const FusedNoise& noise, const std::uint32_t*,
                                   const FusedStream& stream, std::uint32_t group,
                                   const PixelQuad& pixels) {
    const device::PhiloxWords u =
        device::philox_at(noise.seed, stream.purpose, stream.image, stream.first_sample, group);
    return uint2{pair(noise, u.v[0], u.v[1], pixels.value[0], pixels.value[1]),
                 pair(noise, u.v[2], u.v[3], pixels.value[2], pixels.value[3])};
  }
};

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
