// The weights of the fused kernel as matrix fragments: convolutions written as Toeplitz matrices,
// in the order in which the lanes of a warp load them.
#include "gpu/fused_packing.hpp"

#include <algorithm>

#include "util/half.hpp"

namespace smoothcert::gpu {
namespace {

/// Tap of a 5×5 window at output (oy, ox) for input (iy, ix); 0 outside.
float tap(const float* window, int iy, int ix, int oy, int ox) {
  const int ky = iy - oy, kx = ix - ox;
  return ky < 0 || ky > 4 || kx < 0 || kx > 4 ? 0.0f : window[ky * 5 + kx];
}

/// k index of a cell: owner thread kt, element ke, half kb of the k16 block.
struct K {
  explicit K(int k) : kt(k % 8 / 2), ke(k % 2), kb(k / 8) {}
  int kt, ke, kb;
};
/// Column n of a fragment: owner thread t, element e.
struct N {
  explicit N(int n) : t(n / 2), e(n % 2) {}
  int t, e;
};

// Row of the block: image row 4·kb + kt of the 8-row window, column 2·cc + ke of the tile.
float conv1_value(const FusedNetwork& net, int fragment, K k, N n) {
  const int y = 4 * k.kb + k.kt;
  if (fragment < FragmentMap::kConv1x) {  // n: channel t, pooled row e
    const int m = fragment / 3, cc = fragment % 3;
    return tap(net.conv1[n.t], y, 2 * cc + k.ke, 2 * n.e + m / 2, m % 2);
  }
  // Channel 4; n: tile t / 2, pooled row t % 2, dx = e.
  const int dy = (fragment - FragmentMap::kConv1x) / 4, cc = (fragment - FragmentMap::kConv1x) % 4;
  return tap(net.conv1[4], y, 2 * cc + k.ke, 2 * (n.t % 2) + dy, 2 * (n.t / 2) + n.e);
}

// Cells of channels 0..3: k = (column kb of the pair, channel kt, row ke). Cells of channel 4: k =
// (row kt % 2, column 4·cell + 2·ke + kt / 2). Output columns: n = (channel t, dx = e) for channels
// 0..3, (column pair parity t / 2, dy = t % 2, dx = e) for channel 4.
float conv2_value(const FusedNetwork& net, int fragment, K k, N n) {
  const int y0 = 2 * (fragment / 16), r = fragment % 16;
  const int x4 = 4 * k.kb + 2 * k.ke + k.kt / 2;
  if (r < 6) {
    const int dy = r / 3, block = r % 3;
    return tap(net.conv2[n.t][k.kt], y0 + k.ke, 2 * block + k.kb, dy, n.e);
  }
  if (r < 10) {
    const int parity = (r - 6) / 2, dy = (r - 6) % 2;
    return tap(net.conv2[n.t][4], y0 + k.kt % 2, x4, dy, 2 * parity + n.e);
  }
  const int dy = n.t % 2, x = 2 * (n.t / 2) + n.e;
  if (r < 14) return tap(net.conv2[4][k.kt], y0 + k.ke, 2 * (r - 10) + k.kb, dy, x);
  return r == 14 ? tap(net.conv2[4][4], y0 + k.kt % 2, x4, dy, x) : 0.0f;
}

// k = (channel kt, pooled column 2·kb + ke); channel 4 in the first half of the even threads.
float linear_value(const FusedNetwork& net, int fragment, K k, int n) {
  const int p = fragment / 4, r = fragment % 4, c = r % 2 * 8 + n;
  if (r < 2) return net.linear[c][k.kt * 16 + p * 4 + 2 * k.kb + k.ke];
  if (k.kb != 0 || k.kt % 2 != 0) return 0.0f;
  return net.linear[c][4 * 16 + p * 4 + 2 * k.ke + k.kt / 2];
}

/// Writes a fragment as columns 8·group..8·group+7 of the B block at `bytes`.
void put_block(std::vector<std::uint32_t>& words, const FusedNetwork& net, int bytes, int group,
               int fragment) {
  for (int k = 0; k < 16; k += 2) {
    for (int n = 0; n < 8; ++n) {
      const int at = bytes + 256 * group + 128 * (k / 8) + 16 * n + 2 * (k % 8);
      words[static_cast<std::size_t>(at / 4)] =
          double_to_half(fragment_value(net, fragment, k, n)) |
          std::uint32_t{double_to_half(fragment_value(net, fragment, k + 1, n))} << 16;
    }
  }
}

std::uint32_t twice(float value) { return double_to_half(value) * 0x10001u; }

}  // namespace

float fragment_value(const FusedNetwork& net, int fragment, int k, int n) {
  if (fragment < FragmentMap::kConv2) return conv1_value(net, fragment, K(k), N(n));
  if (fragment < FragmentMap::kLinear) {
    return conv2_value(net, fragment - FragmentMap::kConv2, K(k), N(n));
  }
  return linear_value(net, fragment - FragmentMap::kLinear, K(k), n);
}

std::vector<std::uint32_t> pack_fragments(const FusedNetwork& net) {
  std::vector<std::uint32_t> words(static_cast<std::size_t>(kLaneGroups) * 32 * 4);
  const auto at = [&](int group, int lane, int word) -> std::uint32_t& {
    return words[static_cast<std::size_t>((group * 32 + lane) * 4 + word)];
  };
  for (int lane = 0; lane < 32; ++lane) {
    const int n = lane / 4, t = lane % 4;
    for (int f = 0; f < FragmentMap::kCount; ++f) {
      for (int r = 0; r < 2; ++r) {
        const int k = 2 * t + 8 * r;
        at(f / 2, lane, f % 2 * 2 + r) =
            double_to_half(fragment_value(net, f, k, n)) |
            std::uint32_t{double_to_half(fragment_value(net, f, k + 1, n))} << 16;
      }
    }
    const float constants[2][4] = {{net.gain1[t], net.bias1[t], net.gain1[4], net.bias1[4]},
                                   {net.gain2[t], net.bias2[t], net.gain2[4], net.bias2[4]}};
    for (int g = 0; g < 2; ++g) {
      for (int i = 0; i < 4; ++i) at(kFragmentPairs + g, lane, i) = twice(constants[g][i]);
    }
  }
  return words;
}

std::vector<std::uint32_t> pack_warpgroup(const FusedNetwork& net) {
  std::vector<std::uint32_t> words(WarpgroupMap::kBytes / 4);
  for (int cc = 0; cc < 4; ++cc) {
    for (int m = 0; m < 4 && cc < 3; ++m) {
      put_block(words, net, WarpgroupMap::kConv1 + 1024 * cc, m, FragmentMap::kConv1 + 3 * m + cc);
    }
    for (int dy = 0; dy < 2; ++dy) {
      put_block(words, net, WarpgroupMap::kConv1x + 512 * cc, dy,
                FragmentMap::kConv1x + 4 * dy + cc);
    }
  }
  // Per distance d five k16 blocks, four of column pairs and one of channel 4; columns as in
  // sum_index(): two pooled columns by dy, then channel 4. A column pair that an output does not
  // reach stays zero.
  for (int d = 0; d < 3; ++d) {
    const int f = FragmentMap::kConv2 + 16 * d;
    for (int k = 0; k < 5; ++k) {
      const int at = WarpgroupMap::kConv2 + 6400 * d + 1280 * k;
      for (int column = 0; column < 2; ++column) {
        for (int dy = 0; dy < 2; ++dy) {
          const int pair = k - column;
          if (k == 4) {
            put_block(words, net, at, 2 * column + dy, f + 6 + 2 * column + dy);
          } else if (pair >= 0 && pair < 3) {
            put_block(words, net, at, 2 * column + dy, f + 3 * dy + pair);
          }
        }
      }
      put_block(words, net, at, 4, f + 10 + k);
    }
  }
  const std::vector<std::uint32_t> lanes = pack_fragments(net);
  std::copy(lanes.begin() + WarpgroupMap::kFirstLaneGroup * 128, lanes.end(),
            words.begin() + WarpgroupMap::kLanes / 4);
  return words;
}

}  // namespace smoothcert::gpu
