// The fused kernels and their launches, compiled for the emulator: the same text as for a GPU.
#include "cuda/votes/launch_fused.cu"  // NOLINT(bugprone-suspicious-include)
