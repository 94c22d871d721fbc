// Votes in the arithmetic of the fused kernel, plainly.
#include "fused_reference.hpp"

#include <algorithm>
#include <cmath>

#include "util/half.hpp"

namespace smoothcert::simt_test {
namespace {

double half(double x) { return half_to_float(double_to_half(x)); }

/// relu(gain·max + bias) over 2×2 windows of a side × side plane, one rounding.
void pool(const std::vector<double>& in, int side, float gain, float bias, double* out) {
  for (int y = 0; y < side / 2; ++y) {
    for (int x = 0; x < side / 2; ++x) {
      const auto at = [&](int dy, int dx) {
        return in[static_cast<std::size_t>((2 * y + dy) * side + 2 * x + dx)];
      };
      const double m = std::max(std::max(at(0, 0), at(0, 1)), std::max(at(1, 0), at(1, 1)));
      const double v = double{gain} * m + double{bias};
      out[y * (side / 2) + x] = half(v > 0 ? v : 0);
    }
  }
}

}  // namespace

gpu::FusedNetwork rounded_to_half(gpu::FusedNetwork net) {
  const auto round = [](auto& values) {
    auto* first = reinterpret_cast<float*>(&values);
    for (std::size_t i = 0; i < sizeof values / sizeof(float); ++i) {
      first[i] = static_cast<float>(half(first[i]));
    }
  };
  round(net.conv1), round(net.gain1), round(net.bias1);
  round(net.conv2), round(net.gain2), round(net.bias2);
  round(net.linear);
  return net;
}

// The order in which the kernel rounds. conv1: a k16 block is eight rows by two image columns, so a
// sum is rounded after each pair of columns 2c, 2c + 1. conv2: for each pair of input rows, first
// blocks of channels 0..3 by two rows by two columns, then one of channel 4 by two rows. Linear:
// for each pooled row the features of channels 0..3, then of channel 4, onto a float.
std::vector<float> fused_reference_logits(const gpu::FusedNetwork& net,
                                          const std::vector<double>& input) {
  constexpr int kChannels = gpu::FusedNetwork::kChannels;
  std::vector<double> h1(kChannels * 144), h2(kChannels * 16), plane(576);
  for (int o = 0; o < kChannels; ++o) {
    for (int y = 0; y < 24; ++y) {
      for (int x = 0; x < 24; ++x) {
        double sum = 0;
        for (int c = x / 2; c <= (x + 4) / 2; ++c) {
          for (int ky = 0; ky < 5; ++ky) {
            for (int ix = std::max(2 * c, x); ix <= std::min(2 * c + 1, x + 4); ++ix) {
              sum += double{net.conv1[o][ky * 5 + ix - x]} *
                     input[static_cast<std::size_t>((y + ky) * 28 + ix)];
            }
          }
          sum = half(sum);
        }
        plane[static_cast<std::size_t>(y * 24 + x)] = sum;
      }
    }
    pool(plane, 24, net.gain1[o], net.bias1[o], &h1[static_cast<std::size_t>(o * 144)]);
  }
  for (int o = 0; o < kChannels; ++o) {
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x) {
        double sum = 0;
        const auto add = [&](int c, int rows, int ix) {
          for (int iy = std::max(2 * rows, y); iy <= std::min(2 * rows + 1, y + 4); ++iy) {
            sum += double{net.conv2[o][c][(iy - y) * 5 + ix - x]} *
                   h1[static_cast<std::size_t>(c * 144 + iy * 12 + ix)];
          }
        };
        for (int rows = y / 2; rows <= (y + 4) / 2; ++rows) {
          for (int pair = x / 2; pair <= (x + 4) / 2; ++pair) {
            for (int ix = std::max(2 * pair, x); ix <= std::min(2 * pair + 1, x + 4); ++ix) {
              for (int c = 0; c < 4; ++c) add(c, rows, ix);
            }
            sum = half(sum);
          }
          for (int ix = x; ix <= x + 4; ++ix) add(4, rows, ix);
          sum = half(sum);
        }
        plane[static_cast<std::size_t>(y * 8 + x)] = sum;
      }
    }
    pool(plane, 8, net.gain2[o], net.bias2[o], &h2[static_cast<std::size_t>(o * 16)]);
  }
  std::vector<float> logits;
  for (int c = 0; c < net.classes; ++c) {
    float logit = net.bias[c];
    for (int p = 0; p < 4; ++p) {
      const auto add = [&](int first, int last) {
        double sum = logit;
        for (int channel = first; channel <= last; ++channel) {
          for (int x = 0; x < 4; ++x) {
            const int k = channel * 16 + p * 4 + x;
            sum += double{net.linear[c][k]} * h2[static_cast<std::size_t>(k)];
          }
        }
        logit = static_cast<float>(sum);
      };
      add(0, 3);
      add(4, 4);
    }
    logits.push_back(logit);
  }
  return logits;
}

std::vector<double> fused_lattice_input(const NoiseSpec& noise, const device::LatticeView& table,
                                        const std::uint8_t* pixels, std::uint32_t purpose,
                                        std::uint32_t image, std::uint32_t sample) {
  std::vector<double> input(784);
  for (std::uint32_t p = 0; p < 784; ++p) {
    const int n = device::lattice_noise_at(table, noise.seed, purpose, image, sample, p);
    input[p] = half(device::lattice_pixel(pixels[p], n, noise.clamp) * 0x1p-24);
  }
  return input;
}

std::vector<double> fused_gaussian_input(const NoiseSpec& noise, const std::uint8_t* pixels,
                                         std::uint32_t purpose, std::uint32_t image,
                                         std::uint32_t sample) {
  std::vector<double> input(784);
  const double scale = 2 * std::log(2.0) * noise.sigma * noise.sigma;
  for (std::uint32_t p = 0; p < 784; ++p) {
    const auto words = device::philox_at(noise.seed, purpose, image, sample, p / 4);
    const std::uint32_t even = p % 4 / 2 * 2;
    const float word = static_cast<float>(words.v[even]) + 0.5f;
    const float radius = std::sqrt(std::fma(std::log2(word), static_cast<float>(-scale),
                                            static_cast<float>(32 * scale * (1 + 3e-7))));
    const float angle = static_cast<float>(words.v[even + 1] >> 9) * 7.49014056584785e-7f;
    const float v = std::fma(radius, p % 2 == 0 ? std::cos(angle) : std::sin(angle),
                             static_cast<float>(pixels[p]) * (1.0f / 255.0f));
    input[p] = half(noise.clamp ? std::clamp(v, 0.0f, 1.0f) : v);
  }
  return input;
}

}  // namespace smoothcert::simt_test
