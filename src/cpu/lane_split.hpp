// Splitting noise of lanes: device::split_code and device::split_input, for votes and for training.
#pragma once

#include "cpu/lanes.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

/// Inputs for each lane's pixel (`twice`: two times its grey level) and split, all of them below
/// `width`; `offset` is the pixel's.
SMOOTHCERT_HD Lanes split_inputs(IntLanes twice, UintLanes split, std::uint32_t offset,
                                 UintLanes width) {
  const IntLanes range = broadcast(std::int32_t{510});
  const UintLanes sum = split + broadcast(offset);
  const UintLanes place = sum < width ? sum : sum - width;
  const IntLanes twice_cut = (IntLanes)(place + place) + broadcast(std::int32_t{1});
  const IntLanes low = twice_cut < range ? twice_cut : range;
  return to_float(low + ((twice > twice_cut) & range)) * broadcast(1.0f / 1020.0f);
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
