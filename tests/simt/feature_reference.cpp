// LeNet's features in the arithmetic of the fused kernel, plainly.
#include "feature_reference.hpp"

#include <cmath>

#include "util/half.hpp"

namespace smoothcert::simt_test {
namespace {

double half(double x) { return half_to_float(double_to_half(x)); }

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// The larger of two; NaN if either is.
float larger(float a, float b) { return b > a || std::isnan(b) ? b : a; }

/// A sum as tensor cores with float accumulators make it: rounded after every 16 products. Products
/// that are not added, since a weight is a padding's zero, are skipped by count.
class Sum {
 public:
  void add(double product) {
    block_ += product;
    skip();
  }
  void skip() {
    if (++products_ % 16 == 0) block_ = static_cast<double>(static_cast<float>(block_));
  }
  [[nodiscard]] float value() const { return static_cast<float>(block_); }

 private:
  double block_ = 0;
  int products_ = 0;
};

/// relu(gain·max + bias) over 2×2 windows of a side × side plane.
void pool(const std::vector<float>& in, int side, float gain, float bias, double* out) {
  for (int y = 0; y < side / 2; ++y) {
    for (int x = 0; x < side / 2; ++x) {
      const float* corner = &in[at(2 * y * side + 2 * x)];
      const float m = larger(larger(corner[0], corner[1]), larger(corner[side], corner[side + 1]));
      out[y * (side / 2) + x] = half(larger(std::fma(gain, m, bias), 0.0f));
    }
  }
}

}  // namespace

gpu::FeatureNetwork rounded_to_half(gpu::FeatureNetwork net) {
  const auto round = [](std::vector<float>& values) {
    for (float& v : values) v = static_cast<float>(half(v));
  };
  round(net.conv1), round(net.conv2);
  for (auto& layer : net.linear) round(layer.weights);
  return net;
}

// The order of the products: conv1 row by row, six a row of which the last is nothing; conv2 tap by
// tap, the channels (filled up to 20) of each; the first linear layer two channels at a time, for
// each output of the pooling the two; the others as they stand.
std::vector<double> reference_features(const gpu::FeatureNetwork& net,
                                       const std::vector<double>& input) {
  std::vector<double> h1(at(net.channels1 * 144)), h2(at(net.channels2 * 16));
  std::vector<float> plane(576);
  for (int o = 0; o < net.channels1; ++o) {
    for (int p = 0; p < 576; ++p) {
      Sum sum;
      for (int ky = 0; ky < 5; ++ky) {
        for (int kx = 0; kx < 5; ++kx) {
          sum.add(double{net.conv1[at(o * 25 + ky * 5 + kx)]} *
                  input[at((p / 24 + ky) * 28 + p % 24 + kx)]);
        }
        sum.skip();
      }
      plane[at(p)] = sum.value();
    }
    pool(plane, 24, net.gain1[at(o)], net.bias1[at(o)], &h1[at(o * 144)]);
  }
  for (int o = 0; o < net.channels2; ++o) {
    for (int p = 0; p < 64; ++p) {
      Sum sum;
      for (int tap = 0; tap < 25; ++tap) {
        const int pixel = (p / 8 + tap / 5) * 12 + p % 8 + tap % 5;
        for (int c = 0; c < 20; ++c) {
          if (c >= net.channels1) {
            sum.skip();
          } else {
            sum.add(double{net.conv2[at((o * net.channels1 + c) * 25 + tap)]} *
                    h1[at(c * 144 + pixel)]);
          }
        }
      }
      plane[at(p)] = sum.value();
    }
    pool(plane, 8, net.gain2[at(o)], net.bias2[at(o)], &h2[at(o * 16)]);
  }
  return h2;
}

std::vector<float> reference_logits(const gpu::FeatureNetwork& net,
                                    const std::vector<double>& features) {
  std::vector<double> x;
  for (int c = 0; c < net.channels2; c += 2) {
    for (int place = 0; place < 32; ++place) {
      const int channel = c + place % 2;
      x.push_back(channel < net.channels2 ? features[at(channel * 16 + place / 2)] : 0.0);
    }
  }
  std::vector<float> out;
  for (std::size_t l = 0; l < net.linear.size(); ++l) {
    const gpu::FeatureLinear& layer = net.linear[l];
    out.clear();
    for (int o = 0; o < layer.out; ++o) {
      Sum sum;
      for (int i = 0; i < static_cast<int>(x.size()); ++i) {
        const int from = l > 0 ? i : (i / 32 * 2 + i % 2) * 16 + i % 32 / 2;
        if (from >= layer.in) {
          sum.skip();
        } else {
          sum.add(double{layer.weights[at(o * layer.in + from)]} * x[at(i)]);
        }
      }
      out.push_back(layer.scale * sum.value() + layer.bias[at(o)]);
    }
    x.clear();
    for (const float v : out) x.push_back(half(v < 0 ? 0.0f : v));
  }
  return out;
}

}  // namespace smoothcert::simt_test
