// Which instruction set the lane kernels run on, chosen once at run time.
#include "cpu/isa.hpp"

#include <cstdlib>

#include "smoothcert/error.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert::cpu {

Isa detected_isa() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) return Isa::avx512;
  if (avx2) return Isa::avx2;
#endif
  return Isa::baseline;
}

Isa active_isa() {
  const Isa detected = detected_isa();
  const char* wanted = std::getenv("SMOOTHCERT_ISA");
  if (wanted == nullptr || *wanted == '\0') return detected;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa_name(isa) != wanted) continue;
    if (isa > detected)
      throw UsageError("SMOOTHCERT_ISA=" + std::string(wanted) + ": this processor only has " +
                       isa_name(detected));
    return isa;
  }
  throw UsageError("SMOOTHCERT_ISA: " +
                   unknown_name_message("instruction set", wanted, {"baseline", "avx2", "avx512"}));
}

std::string isa_name(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "?";
}

}  // namespace smoothcert::cpu
