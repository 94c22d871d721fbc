smoothcert_sources(SMOOTHCERT_GPU_TEST_SOURCES
  gpu_small_test.cpp
  gpu_training_test.cpp
  gpu_votes_test.cpp)
smoothcert_sources(SMOOTHCERT_CURAND_TEST_SOURCES
  curand_philox_test.cu)
