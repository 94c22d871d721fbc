// The fused feature kernel, the linear layers behind it and their pass, compiled for the emulator:
// the same text as for a GPU.
#include "cuda/votes/feature_pass.cpp"          // NOLINT(bugprone-suspicious-include)
#include "cuda/votes/launch_fused_features.cu"  // NOLINT(bugprone-suspicious-include)
#include "cuda/votes/launch_half_linear.cu"     // NOLINT(bugprone-suspicious-include)
