// Training: kernels, launches, passes and the trainer, compiled for the emulator: the same text as
// for a GPU.
#include "launch_layers.cu"  // NOLINT(bugprone-suspicious-include)
#include "launch_train.cu"   // NOLINT(bugprone-suspicious-include)
#include "train_pass.cpp"    // NOLINT(bugprone-suspicious-include)
#include "train_step.cpp"    // NOLINT(bugprone-suspicious-include)
#include "trainer.cpp"       // NOLINT(bugprone-suspicious-include)
