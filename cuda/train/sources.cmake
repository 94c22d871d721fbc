smoothcert_sources(SMOOTHCERT_CUDA_HOST_SOURCES
  cuda_queue.cpp)
# Launch kernels, so that the emulator compiles them too (tests/simt/emulated_*.cpp).
smoothcert_sources(SMOOTHCERT_CUDA_LAUNCHING_SOURCES
  train_pass.cpp
  train_step.cpp
  trainer.cpp)
smoothcert_sources(SMOOTHCERT_CUDA_KERNEL_SOURCES
  launch_train.cu)
