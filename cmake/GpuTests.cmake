# Tests that need a GPU; without one they are skipped (SMOOTHCERT_REQUIRE_GPU=1: they fail).
if(SMOOTHCERT_HAVE_CUDA)
  add_executable(smoothcert_gpu_tests tests/layer_cases.cpp ${SMOOTHCERT_GPU_TEST_SOURCES}
    ${SMOOTHCERT_CURAND_TEST_SOURCES})
  set_target_properties(smoothcert_gpu_tests PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON)
  find_path(CURAND_INCLUDE_DIR curand_philox4x32_x.h
    HINTS ${CUDAToolkit_INCLUDE_DIRS} ${SMOOTHCERT_CUDA_WHEELS} PATH_SUFFIXES include)
  target_include_directories(smoothcert_gpu_tests PRIVATE tests tests/gpu src .
    ${CUDAToolkit_INCLUDE_DIRS} $<$<BOOL:${CURAND_INCLUDE_DIR}>:${CURAND_INCLUDE_DIR}>)
  if(NOT CURAND_INCLUDE_DIR)
    message(STATUS "smoothcert: no cuRAND headers: its Philox is not compared with ours")
    set_source_files_properties(tests/gpu/curand_philox_test.cu PROPERTIES HEADER_FILE_ONLY ON)
  endif()
  smoothcert_quick_tests(smoothcert_gpu_tests)
  smoothcert_precompile(smoothcert_gpu_tests $<$<COMPILE_LANGUAGE:CXX>:<gmock/gmock.h$<ANGLE-R>>
    $<$<COMPILE_LANGUAGE:CXX>:<gtest/gtest.h$<ANGLE-R>>)
  target_link_libraries(smoothcert_gpu_tests PRIVATE smoothcert smoothcert_options GTest::gtest
    GTest::gmock GTest::gtest_main CUDA::cudart_static Threads::Threads)
  gtest_discover_tests(smoothcert_gpu_tests DISCOVERY_TIMEOUT 60 PROPERTIES LABELS gpu TIMEOUT 300)
endif()
