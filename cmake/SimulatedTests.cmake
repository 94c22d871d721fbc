# The CUDA backend's host code on simulated GPUs (tests/simulated): CUDA's runtime, cuDNN and cuBLAS
# are stand-ins, kernels run in the SIMT emulator. Needs the libraries' headers, no driver and no
# compiler of theirs. smoothcert_simulated is the whole program, --device cuda included.
if(NOT SMOOTHCERT_SIMULATED_GPUS)
  return()
endif()
find_package(CUDAToolkit QUIET)
include(cmake/CudaWheels.cmake)
find_path(SIMULATED_CUDA_INCLUDE cuda_runtime_api.h
  HINTS ${CUDAToolkit_INCLUDE_DIRS} /usr/local/cuda/include ${SMOOTHCERT_CUDA_WHEELS}
  PATH_SUFFIXES include)
find_path(SIMULATED_CUDNN_INCLUDE cudnn_graph.h
  HINTS ${CUDNN_INCLUDE_DIR} /usr/local/cuda/include ${SMOOTHCERT_CUDA_WHEELS} PATH_SUFFIXES include)
find_path(SIMULATED_CUBLAS_INCLUDE cublas_v2.h
  HINTS ${CUDAToolkit_INCLUDE_DIRS} /usr/local/cuda/include ${SMOOTHCERT_CUDA_WHEELS}
  PATH_SUFFIXES include)
if(NOT SIMULATED_CUDA_INCLUDE OR NOT SIMULATED_CUDNN_INCLUDE OR NOT SIMULATED_CUBLAS_INCLUDE)
  message(STATUS "smoothcert: no simulated GPUs (the headers of CUDA, cuDNN or cuBLAS are missing)")
  return()
endif()

# Found is not yet usable: wheels come in parts, and another release has other signatures.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_INCLUDES ${SIMULATED_CUDA_INCLUDE} ${SIMULATED_CUDNN_INCLUDE}
  ${SIMULATED_CUBLAS_INCLUDE})
check_cxx_source_compiles("
  #include <cuda_runtime_api.h>
  #include <cudnn.h>
  #include <cublas_v2.h>
  static_assert(CUDART_VERSION >= 12040 && CUDNN_MAJOR >= 9);
  int main() {}" SMOOTHCERT_SIMULATED_HEADERS_WORK)
unset(CMAKE_REQUIRED_INCLUDES)
if(NOT SMOOTHCERT_SIMULATED_HEADERS_WORK)
  message(STATUS "smoothcert: no simulated GPUs (they need the headers of CUDA 12.4 and cuDNN 9)")
  return()
endif()

# SMOOTHCERT_CUDA_LAUNCHING_SOURCES come in with their kernels, by tests/simt/emulated_*.cpp.
add_library(smoothcert_simulated_gpu OBJECT ${SMOOTHCERT_CUDA_HOST_SOURCES}
  ${SMOOTHCERT_SIMT_LAUNCH_SOURCES} ${SMOOTHCERT_SIMT_ENGINE_SOURCES}
  ${SMOOTHCERT_SIMULATED_MACHINE_SOURCES})
target_compile_definitions(smoothcert_simulated_gpu PUBLIC SMOOTHCERT_SIMT_EMULATOR
  SMOOTHCERT_SIMULATED_GPU SMOOTHCERT_HAVE_CUDNN SMOOTHCERT_HAVE_CUBLAS)
target_include_directories(smoothcert_simulated_gpu
  PUBLIC include ${CMAKE_CURRENT_BINARY_DIR}/include src . tests tests/simulated tests/simt)
target_include_directories(smoothcert_simulated_gpu SYSTEM
  PUBLIC ${SIMULATED_CUDA_INCLUDE} ${SIMULATED_CUDNN_INCLUDE} ${SIMULATED_CUBLAS_INCLUDE})
target_compile_options(smoothcert_simulated_gpu PUBLIC -Wno-deprecated-declarations)
target_link_libraries(smoothcert_simulated_gpu PUBLIC smoothcert_options)

# The library's objects with this build of the CUDA backend in place of the library's own.
set(_tests ${SMOOTHCERT_SIMULATED_TEST_SOURCES} tests/cli_support.cpp tests/store_support.cpp
  tests/data_support.cpp)
if(NOT SMOOTHCERT_SANITIZE)  # too slow there
  list(APPEND _tests tests/layer_cases.cpp ${SMOOTHCERT_GPU_TEST_SOURCES})
endif()
add_executable(smoothcert_simulated_tests ${_tests})
target_include_directories(smoothcert_simulated_tests PRIVATE tests/gpu)
smoothcert_quick_tests(smoothcert_simulated_tests)
smoothcert_precompile(smoothcert_simulated_tests <gmock/gmock.h> <gtest/gtest.h> <nlohmann/json.hpp>
  <fmt/format.h>)
target_link_libraries(smoothcert_simulated_tests PRIVATE smoothcert_simulated_gpu smoothcert_core
  smoothcert_options GTest::gtest GTest::gmock GTest::gtest_main fmt::fmt nlohmann_json::nlohmann_json
  SQLite::SQLite3 ZLIB::ZLIB OpenSSL::Crypto Threads::Threads)
target_link_options(smoothcert_simulated_tests PRIVATE -Wl,--as-needed)
set(_places SMOOTHCERT_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
if(TARGET smoothcert_cli)
  list(APPEND _places SMOOTHCERT_SIMULATED_CLI="$<TARGET_FILE:smoothcert_simulated>")
  add_dependencies(smoothcert_simulated_tests smoothcert_simulated)
  add_executable(smoothcert_simulated $<TARGET_OBJECTS:smoothcert_commands>)
  set_target_properties(smoothcert_simulated PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(smoothcert_simulated PRIVATE smoothcert_simulated_gpu smoothcert_core
    smoothcert_mpi smoothcert_options fmt::fmt spdlog::spdlog)
  target_link_options(smoothcert_simulated PRIVATE -Wl,--as-needed)
endif()
set_source_files_properties(tests/simulated/places_support.cpp PROPERTIES
  COMPILE_DEFINITIONS "${_places}")
gtest_discover_tests(smoothcert_simulated_tests DISCOVERY_TIMEOUT 60 TEST_PREFIX Simulated.
  PROPERTIES LABELS simulated TIMEOUT 600 ${_test_environment})

# The GPU benchmarks, so that they are known to run before a GPU is at hand.
if(SMOOTHCERT_BENCH)
  foreach(name fused_gpu gpu_bench)
    add_executable(simulated_${name} bench/${name}.cpp)
    target_link_libraries(simulated_${name} PRIVATE smoothcert_simulated_gpu smoothcert_core
      smoothcert_options)
    target_link_options(simulated_${name} PRIVATE -Wl,--as-needed)
  endforeach()
  add_test(NAME Simulated.fused_gpu COMMAND simulated_fused_gpu 2 64)
  add_test(NAME Simulated.gpu_bench_train
    COMMAND simulated_gpu_bench train --recipe adversarial --images 256 --epochs 1)
  set_tests_properties(Simulated.fused_gpu Simulated.gpu_bench_train PROPERTIES
    LABELS simulated TIMEOUT 600 FAIL_REGULAR_EXPRESSION "simulated GPU: ")
endif()
