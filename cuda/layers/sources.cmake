smoothcert_sources(SMOOTHCERT_CUDA_HOST_SOURCES
  cublas_linear.cpp
  cudnn_conv.cpp
  library_engine.cpp)
smoothcert_sources(SMOOTHCERT_CUDA_KERNEL_SOURCES
  launch_general_layers.cu
  launch_layers.cu)
