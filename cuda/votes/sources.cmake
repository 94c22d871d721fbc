smoothcert_sources(SMOOTHCERT_CUDA_HOST_SOURCES
  cublas_half.cpp
  feature_vote_device.cpp
  fused_vote_device.cpp
  library_vote_device.cpp
  vote_device.cpp)
# Launch kernels, so that the emulator compiles them too (tests/simt/emulated_*.cpp).
smoothcert_sources(SMOOTHCERT_CUDA_LAUNCHING_SOURCES
  exact_pass.cpp
  feature_pass.cpp
  library_pass.cpp)
smoothcert_sources(SMOOTHCERT_CUDA_KERNEL_SOURCES
  launch_exact.cu
  launch_fused.cu
  launch_fused_exact.cu
  launch_fused_features.cu
  launch_fused_wgmma.cu
  launch_half_linear.cu)
