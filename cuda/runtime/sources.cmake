smoothcert_sources(SMOOTHCERT_CUDA_HOST_SOURCES
  context.cpp)
