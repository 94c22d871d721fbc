smoothcert_sources(SMOOTHCERT_BACKEND_SOURCES
  backend.cpp)
# In place of cuda/ in a CPU build.
smoothcert_sources(SMOOTHCERT_CUDA_STUB_SOURCES
  cuda_stub.cpp)
