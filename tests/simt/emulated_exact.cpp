// The exact mode's kernels, launches and pass, compiled for the emulator: the same text as for a
// GPU.
#include "cuda/votes/exact_pass.cpp"     // NOLINT(bugprone-suspicious-include)
#include "cuda/votes/launch_exact.cu"    // NOLINT(bugprone-suspicious-include)
#include "cuda/votes/launch_general.cu"  // NOLINT(bugprone-suspicious-include)
