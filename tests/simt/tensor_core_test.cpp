// The leaves of cuda/runtime/tensor_core.cuh and cuda/runtime/warpgroup.cuh against plain matrix
// products.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "cuda/runtime/warpgroup.cuh"
#include "emulated_launch.hpp"
#include "util/half.hpp"

namespace smoothcert::gpu {
namespace {

struct Matrices {
  double a[16][16], b[16][8], c[16][8];
  explicit Matrices(unsigned seed) {
    std::mt19937 rng(seed);
    std::uniform_real_distribution<double> uniform(-3, 3);
    const auto half = [&] { return half_to_float(double_to_half(uniform(rng))); };
    for (auto& row : a)
      for (double& v : row) v = half();
    for (auto& row : b)
      for (double& v : row) v = half();
    for (auto& row : c)
      for (double& v : row) v = half();
  }
  [[nodiscard]] double product(int m, int n) const {
    double sum = c[m][n];
    for (int k = 0; k < 16; ++k) sum += a[m][k] * b[k][n];
    return sum;
  }
};

Half2 two(double low, double high) {
  return double_to_half(low) | std::uint32_t{double_to_half(high)} << 16;
}

// Every lane fills its fragments from the tables of the PTX ISA, by row and column.
void load(const Matrices& m, int lane, Half2 (&a)[4], Half2 (&b)[2], Half2 (&c)[2]) {
  const int group = lane >> 2, in_group = lane % 4;
  for (int i = 0; i < 8; i += 2) {
    const int row = i < 2 || (i >= 4 && i < 6) ? group : group + 8;
    const int column = in_group * 2 + (i >= 4 ? 8 : 0);
    a[i / 2] = two(m.a[row][column], m.a[row][column + 1]);
  }
  for (int i = 0; i < 4; i += 2) {
    const int row = in_group * 2 + (i >= 2 ? 8 : 0);
    b[i / 2] = two(m.b[row][group], m.b[row + 1][group]);
    c[i / 2] = two(m.c[group + 4 * i][in_group * 2], m.c[group + 4 * i][in_group * 2 + 1]);
  }
}

TEST(TensorCore, HalfAccumulatorsRoundOnce) {
  const Matrices m(1);
  std::vector<Half2> d(64, 0);
  simt::launch({{1}, {32}}, [&] {
    Half2 a[4], b[2], c[2], out[2];
    load(m, static_cast<int>(threadIdx.x), a, b, c);
    mma_f16(out, a, b, c);
    d[2 * threadIdx.x] = out[0];
    d[2 * threadIdx.x + 1] = out[1];
  });
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      const int lane = row % 8 * 4 + column / 2;
      const auto got = static_cast<std::uint16_t>(d[static_cast<std::size_t>(2 * lane + row / 8)] >>
                                                  16 * (column % 2));
      EXPECT_EQ(got, double_to_half(m.product(row, column))) << row << "," << column;
    }
  }
}

TEST(TensorCore, FloatAccumulators) {
  const Matrices m(2);
  std::vector<float> d(128, 0);
  simt::launch({{1}, {32}}, [&] {
    Half2 a[4], b[2], c[2];
    const int lane = static_cast<int>(threadIdx.x);
    load(m, lane, a, b, c);
    float out[4];
    for (int i = 0; i < 4; ++i) {
      out[i] = static_cast<float>(m.c[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2]);
    }
    mma_f32(out, a, b);
    for (int i = 0; i < 4; ++i) d[static_cast<std::size_t>(4 * lane + i)] = out[i];
  });
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      const int at = 4 * (row % 8 * 4 + column / 2) + 2 * (row / 8) + column % 2;
      EXPECT_EQ(d[static_cast<std::size_t>(at)], static_cast<float>(m.product(row, column)));
    }
  }
}

// B as the wgmma descriptor says (cuda/runtime/warpgroup.cuh), written from the PTX ISA's picture:
// K-major, no swizzle, core matrices of eight columns by eight k.
TEST(TensorCore, WarpgroupProductsReadCoreMatrices) {
  const Matrices m(3);
  std::mt19937 rng(4);
  constexpr int kColumns = 40;
  std::vector<std::uint16_t> block(16 * kColumns);
  double b[16][kColumns];
  for (int k = 0; k < 16; ++k) {
    for (int n = 0; n < kColumns; ++n) {
      b[k][n] = static_cast<int>(rng() % 64) / 16.0 - 2;
      const int core = n / 8 * 2 + k / 8;
      block[static_cast<std::size_t>(core * 64 + n % 8 * 8 + k % 8)] = double_to_half(b[k][n]);
    }
  }
  for (const bool accumulate : {false, true}) {
    std::vector<Half2> d(32 * 10, two(1.0, -2.0));
    simt::launch({{1}, {32}}, [&] {
      Half2 a[4], unused_b[2], unused_c[2], out[10];
      load(m, static_cast<int>(threadIdx.x), a, unused_b, unused_c);
      for (int i = 0; i < 10; ++i) out[i] = d[10 * threadIdx.x + static_cast<unsigned>(i)];
      wgmma_n40(out, a, block_address(block.data()), accumulate);
      for (int i = 0; i < 10; ++i) d[10 * threadIdx.x + static_cast<unsigned>(i)] = out[i];
    });
    for (int row = 0; row < 16; ++row) {
      for (int n = 0; n < kColumns; ++n) {
        double sum = accumulate ? (n % 2 == 0 ? 1.0 : -2.0) : 0.0;
        for (int k = 0; k < 16; ++k) sum += m.a[row][k] * b[k][n];
        const int lane = row % 8 * 4 + n % 8 / 2, word = n / 8 * 2 + row / 8;
        const auto got = static_cast<std::uint16_t>(d[static_cast<std::size_t>(10 * lane + word)] >>
                                                    16 * (n % 2));
        EXPECT_EQ(got, double_to_half(sum)) << row << "," << n;
      }
    }
  }
}

TEST(TensorCore, AMissingLaneIsAnError) {
  EXPECT_THROW(simt::launch({{1}, {31}},
                            [] {
                              Half2 a[4] = {}, b[2] = {}, c[2] = {};
                              mma_f16(c, a, b, c);
                            }),
               simt::Error);
}

TEST(TensorCore, PackedArithmetic) {
  EXPECT_EQ(pack_halves(1.0f, -2.0f), 0xC0003C00u);
  EXPECT_EQ(max_halves(0x3C00C000u, 0xBC004000u), 0x3C004000u);
  // 2·3 + 1 = 7; −2·3 + 1 → 0
  EXPECT_EQ(fma_relu_halves(0x4000C000u, 0x42004200u, 0x3C003C00u), 0x47000000u);
  EXPECT_EQ(permute_bytes(0x33221100u, 0x77665544u, 0x5410), 0x55441100u);
  EXPECT_EQ(permute_bytes(0x33221100u, 0x77665544u, 0x7632), 0x77663322u);
  // −3 + 2 → 0; 250 + 10 → 255
  EXPECT_EQ(add_clamp_s16x2(0x00FAFFFDu, 0x000A0002u, 0x00FF00FFu), 0x00FF0000u);
  EXPECT_EQ(min3(5, 0xFFFFFFFFu, 4), 4u);
}

TEST(Half, RoundsToNearestEvenOnce) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    if (value != value) continue;
    ASSERT_EQ(double_to_half(value), half);
    if ((bits & 0x7FFF) >= 0x7BFF) continue;
    const double next = half_to_float(static_cast<std::uint16_t>(half + 1));
    const double middle = (value + next) / 2;
    ASSERT_EQ(double_to_half(middle), half + (half & 1)) << bits;
    ASSERT_EQ(double_to_half(middle + (next - middle) * 1e-9), half + 1) << bits;
    ASSERT_EQ(double_to_half(middle - (next - middle) * 1e-9), half) << bits;
  }
  EXPECT_EQ(double_to_half(65519.999), 0x7BFF);
  EXPECT_EQ(double_to_half(65520.0), 0x7C00);
  EXPECT_EQ(double_to_half(-1e300), 0xFC00);
  EXPECT_EQ(double_to_half(NAN) & 0x7FFF, 0x7E00);
}

}  // namespace
}  // namespace smoothcert::gpu
