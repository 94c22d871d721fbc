// Training: kernels, launches, passes and the trainer, compiled for the emulator: the same text as
// for a GPU.
#include "cuda/layers/launch_general_layers.cu"  // NOLINT(bugprone-suspicious-include)
#include "cuda/layers/launch_layers.cu"          // NOLINT(bugprone-suspicious-include)
#include "cuda/train/launch_train.cu"            // NOLINT(bugprone-suspicious-include)
#include "cuda/train/train_pass.cpp"             // NOLINT(bugprone-suspicious-include)
#include "cuda/train/train_step.cpp"             // NOLINT(bugprone-suspicious-include)
#include "cuda/train/trainer.cpp"                // NOLINT(bugprone-suspicious-include)
