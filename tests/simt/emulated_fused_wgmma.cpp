// The wgmma kernel and its launch, compiled for the emulator: the same text as for a GPU.
#include "cuda/votes/launch_fused_wgmma.cu"  // NOLINT(bugprone-suspicious-include)
