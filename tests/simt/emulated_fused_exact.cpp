// The fused exact kernel and its launch, compiled for the emulator: the same text as for a GPU.
#include "cuda/votes/launch_fused_exact.cu"  // NOLINT(bugprone-suspicious-include)
