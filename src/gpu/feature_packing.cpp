// The weights of the fused feature kernel in the order in which the lanes of a warp load them, and
// those of the linear layers behind it.
#include "gpu/feature_packing.hpp"

#include <bit>

#include "util/half.hpp"

namespace smoothcert::gpu {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

float conv1_value(const FeatureNetwork& net, int k, int channel) {
  const FeatureRow row = conv1_row(k);
  return row.tap < 0 || channel >= net.channels1 ? 0.0f : net.conv1[at(channel * 25 + row.tap)];
}

float conv2_value(const FeatureNetwork& net, int k, int channel) {
  const FeatureRow row = conv2_row(k);
  if (row.tap < 0 || row.channel >= net.channels1 || channel >= net.channels2) return 0.0f;
  return net.conv2[at((channel * net.channels1 + row.channel) * 25 + row.tap)];
}

/// The two words of a lane: column `lane` / 4 of group `group`, rows of block `block`.
template <class Value>
void put_fragment(std::uint32_t* words, int block, int group, int lane, Value&& value) {
  const int n = 8 * group + lane / 4;
  for (int half = 0; half < 2; ++half) {
    const int k = 16 * block + 2 * (lane % 4) + 8 * half;
    words[half] = double_to_half(value(k, n)) | std::uint32_t{double_to_half(value(k + 1, n))}
                                                    << 16;
  }
}

std::uint32_t value_of(const std::vector<float>& values, int channel) {
  return std::bit_cast<std::uint32_t>(at(channel) < values.size() ? values[at(channel)] : 0.0f);
}

int padded(int size) { return (size + 15) / 16 * 16; }

}  // namespace

FeatureRow conv1_row(int k) {
  const int y = k / 6, x = k % 6;
  return y < 5 && x < 5 ? FeatureRow{5 * y + x, 0} : FeatureRow{};
}

FeatureRow conv2_row(int k) {
  constexpr int kChannels = FeatureNetwork::kChannels1;
  return k < 25 * kChannels ? FeatureRow{k / kChannels, k % kChannels} : FeatureRow{};
}

std::vector<std::uint32_t> pack_features(const FeatureNetwork& net) {
  using Map = FeatureMap;
  std::vector<std::uint32_t> words(Map::kWords);
  for (int lane = 0; lane < 32; ++lane) {
    for (int block = 0; block < Map::kBlocks2; ++block) {
      for (int group = 0; group < Map::kGroups2; ++group) {
        const int pair = group / 2, wide = pair < 3 ? 4 : 2;
        put_fragment(&words[at(Map::kConv2 + block * Map::kBlockWords + pair * 128 + lane * wide +
                               group % 2 * 2)],
                     block, group, lane, [&](int k, int n) { return conv2_value(net, k, n); });
      }
    }
    for (int block = 0; block < Map::kBlocks1; ++block) {
      for (int group = 0; group < Map::kGroups1; ++group) {
        put_fragment(&words[at(Map::kConv1 + ((block * Map::kGroups1 + group) * 32 + lane) * 2)],
                     block, group, lane, [&](int k, int n) { return conv1_value(net, k, n); });
      }
    }
  }
  for (int pair = 0; pair < (Map::kGroups1 + Map::kGroups2) * 4; ++pair) {
    const bool first = pair < Map::kGroups1 * 4;
    const int channel = 2 * (first ? pair : pair - Map::kGroups1 * 4);
    std::uint32_t* constants = &words[at(Map::kEpilogue + 4 * pair)];
    for (int e = 0; e < 2; ++e) {
      constants[e] = value_of(first ? net.gain1 : net.gain2, channel + e);
      constants[2 + e] = value_of(first ? net.bias1 : net.bias2, channel + e);
    }
  }
  return words;
}

std::vector<PackedLinear> pack_linear(const FeatureNetwork& net) {
  std::vector<PackedLinear> layers;
  for (const FeatureLinear& linear : net.linear) {
    const bool first = layers.empty();
    const int in = first ? feature_count(net) : linear.in;
    PackedLinear packed{padded(in), padded(linear.out), linear.scale, {}, {}};
    packed.weights.assign(at(packed.in) * at(packed.out), 0);
    packed.bias.assign(at(packed.out), 0.0f);
    for (int o = 0; o < linear.out; ++o) {
      packed.bias[at(o)] = linear.bias[at(o)];
      for (int i = 0; i < in; ++i) {
        const FeaturePlace place(i);
        const int from = first ? place.channel * FeatureNetwork::kWindows + place.window : i;
        if (from >= linear.in) continue;
        packed.weights[at(o) * at(packed.in) + at(i)] =
            double_to_half(linear.weights[at(o) * at(linear.in) + at(from)]);
      }
    }
    layers.push_back(std::move(packed));
  }
  return layers;
}

}  // namespace smoothcert::gpu
