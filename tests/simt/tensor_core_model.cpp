// What mma.sync and wgmma compute, element by element.
#include "tensor_core_model.hpp"

#include <array>
#include <cstring>
#include <vector>

#include "util/half.hpp"

namespace simt {
namespace {

bool flushed = false;

/// Every half as a double; a table, since the emulated products look up billions.
const double* half_table(bool flush = false) {
  static const auto tables = [] {
    std::array<std::vector<double>, 2> values;
    for (std::vector<double>& table : values) table.resize(65536);
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
      values[0][bits] = smoothcert::half_to_float(static_cast<std::uint16_t>(bits));
      const bool subnormal = (bits & 0x7C00u) == 0;
      values[1][bits] = subnormal ? 0 : values[0][bits];
    }
    return values;
  }();
  return tables[flush ? 1 : 0].data();
}

/// Σ_k A[row, k]·B[k, column], rows g and g + 8, columns 2t and 2t + 1 of this lane, onto `sum`.
void accumulate(const LaneWords& lanes, unsigned lane, double (&sum)[2][2]) {
  const double* half = half_table(flushed);
  const unsigned g = lane / 4, t = lane % 4;
  double a[2][16], b[2][16];
  for (unsigned u = 0; u < 4; ++u) {  // the lanes 4·row + u hold columns 2u, 2u+1, 2u+8, 2u+9
    for (unsigned part = 0; part < 2; ++part) {
      for (unsigned e = 0; e < 2; ++e) {
        const unsigned k = 2 * u + 8 * part + e, shift = 16 * e;
        for (unsigned r = 0; r < 2; ++r) {
          a[r][k] = half[lanes[4 * g + u][2 * part + r] >> shift & 0xFFFFu];
          b[r][k] = half[lanes[4 * (2 * t + r) + u][4 + part] >> shift & 0xFFFFu];
        }
      }
    }
  }
  for (unsigned r = 0; r < 2; ++r) {
    for (unsigned c = 0; c < 2; ++c) {
      for (unsigned k = 0; k < 16; ++k) sum[r][c] += a[r][k] * b[c][k];
    }
  }
}

}  // namespace

void flush_subnormals(bool flush) { flushed = flush; }

std::uint16_t to_half(double value) { return smoothcert::double_to_half(value); }
double from_half(std::uint16_t bits) { return half_table()[bits]; }

void mma_f16_lane(const LaneWords& lanes, unsigned lane, std::uint32_t (&d)[2]) {
  double sum[2][2];
  for (unsigned r = 0; r < 2; ++r) {
    for (unsigned c = 0; c < 2; ++c) {
      sum[r][c] = from_half(static_cast<std::uint16_t>(lanes[lane][6 + r] >> 16 * c));
    }
  }
  accumulate(lanes, lane, sum);
  for (unsigned r = 0; r < 2; ++r) {
    d[r] = to_half(sum[r][0]) | std::uint32_t{to_half(sum[r][1])} << 16;
  }
}

void wgmma_lane(const LaneWords& lanes, unsigned lane, const unsigned char* b, int columns,
                bool accumulate, std::uint32_t* d) {
  const unsigned g = lane / 4, t = lane % 4;
  for (int group = 0; group < columns / 8; ++group) {
    LaneWords all = lanes;  // with the B fragment that an m16n8k16 product of this group would take
    for (unsigned l = 0; l < 32; ++l) {
      const unsigned char* column = b + 256 * group + 16 * (l / 4) + 4 * (l % 4);
      std::memcpy(&all[l][4], column, 4);
      std::memcpy(&all[l][5], column + 128, 4);
    }
    all[4 * g + t][6] = accumulate ? d[2 * group] : 0;
    all[4 * g + t][7] = accumulate ? d[2 * group + 1] : 0;
    std::uint32_t out[2];
    mma_f16_lane(all, lane, out);
    d[2 * group] = out[0];
    d[2 * group + 1] = out[1];
  }
}

void mma_f32_lane(const LaneWords& lanes, unsigned lane, float (&d)[4]) {
  double sum[2][2] = {{d[0], d[1]}, {d[2], d[3]}};
  accumulate(lanes, lane, sum);
  for (unsigned i = 0; i < 4; ++i) d[i] = static_cast<float>(sum[i / 2][i % 2]);
}

}  // namespace simt
