// Which instruction set the lane kernels run on, chosen once at run time.
#pragma once

#include <string>

namespace smoothcert::cpu {

enum class Isa { baseline, avx2, avx512 };

/// The widest set this machine has (AVX2 means AVX2 + FMA; AVX-512 means F, DQ, BW, VL).
Isa detected_isa();

/// What the kernels use: the environment variable SMOOTHCERT_ISA (baseline, avx2, avx512) where
/// set, else the detected set. Throws UsageError for an unknown name or one this machine lacks.
/// Read anew at each call, so that tests can switch.
Isa active_isa();

std::string isa_name(Isa isa);

}  // namespace smoothcert::cpu
