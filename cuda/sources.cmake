smoothcert_sources(SMOOTHCERT_CUDA_HOST_SOURCES
  cuda_backend.cpp)
