// Named ranges for Nsight Systems; header-only, and free where no profiler is attached.
#pragma once

#if defined(__has_include)
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define SMOOTHCERT_NVTX 1
#endif
#endif

namespace smoothcert::gpu {

class NvtxRange {
 public:
#if defined(SMOOTHCERT_NVTX)
  explicit NvtxRange(const char* name) { nvtxRangePushA(name); }
  ~NvtxRange() { nvtxRangePop(); }
#else
  explicit NvtxRange(const char*) {}
#endif
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

}  // namespace smoothcert::gpu
