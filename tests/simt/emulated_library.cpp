// Fast mode's library path, compiled for the emulator.
#include "library_pass.cpp"  // NOLINT(bugprone-suspicious-include)
