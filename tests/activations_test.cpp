// Our activation functions against the exact ones in double, over the range of floats.
#include "smoothcert/device/activations.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace smoothcert {
namespace {

float ours(Activation kind, float x, float alpha = 0) {
  return device::activate<device::ScalarMath>(kind, x, alpha);
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

struct Function {
  const char* name;
  Activation kind;
  std::function<double(double)> exact;
  double relative;  ///< largest relative error
  double absolute;  ///< allowed besides: where e^−87 and less is taken for 0
};

TEST(Activations, AreWithinTheirErrorOfTheExactFunctions) {
  const double tiny = 1e-36;
  const Function functions[] = {
      {"sigmoid", Activation::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 3e-7, tiny},
      {"tanh", Activation::tanh, [](double x) { return std::tanh(x); }, 4e-7, 0},
      {"silu", Activation::silu, [](double x) { return x / (1 + std::exp(-x)); }, 4e-7, 1e-34},
      {"elu", Activation::elu, [](double x) { return x < 0 ? std::expm1(x) : x; }, 3e-7, 0},
      {"gelu", Activation::gelu, [](double x) { return x * normal_cdf(x); }, 6e-6, 1e-34},
      {"gelu_tanh", Activation::gelu_tanh,
       [](double x) {
         const double u = 2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
         return x / (1 + std::exp(-u));
       },
       2e-5, 1e-34},
      {"hardswish", Activation::hardswish,
       [](double x) { return x * std::fmin(std::fmax(x + 3, 0), 6) / 6; }, 4e-7, 4e-7},
      {"relu6", Activation::relu6, [](double x) { return std::fmin(std::fmax(x, 0), 6); }, 0, 0}};
  for (const Function& f : functions) {
    SCOPED_TRACE(f.name);
    for (const double sign : {-1.0, 1.0})
      for (double magnitude = 1e-30; magnitude < 200; magnitude *= 1.003) {
        const auto x = static_cast<float>(sign * magnitude);
        const double exact = f.exact(x), got = ours(f.kind, x, 1.0f);
        ASSERT_LE(std::fabs(got - exact), f.relative * std::fabs(exact) + f.absolute) << x;
      }
  }
}

TEST(Activations, KeepNanAndEndAtTheirLimits) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  for (const Activation kind : {Activation::leaky_relu, Activation::relu6, Activation::elu,
                                Activation::silu, Activation::sigmoid, Activation::tanh,
                                Activation::gelu, Activation::gelu_tanh, Activation::hardswish})
    EXPECT_TRUE(std::isnan(ours(kind, nan, 0.5f))) << static_cast<int>(kind);
  EXPECT_EQ(ours(Activation::sigmoid, inf), 1.0f);
  EXPECT_EQ(ours(Activation::sigmoid, -inf), 0.0f);
  EXPECT_EQ(ours(Activation::tanh, inf), 1.0f);
  EXPECT_EQ(ours(Activation::tanh, -inf), -1.0f);
  EXPECT_EQ(ours(Activation::elu, -inf, 0.5f), -0.5f);
  EXPECT_EQ(ours(Activation::elu, inf, 0.5f), inf);
  EXPECT_EQ(ours(Activation::leaky_relu, -2.0f, 0.25f), -0.5f);
  EXPECT_EQ(ours(Activation::relu6, inf), 6.0f);
}

}  // namespace
}  // namespace smoothcert
