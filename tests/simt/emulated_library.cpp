// Fast mode's library path, compiled for the emulator.
#include "cuda/votes/library_pass.cpp"  // NOLINT(bugprone-suspicious-include)
