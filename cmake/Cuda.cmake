# The optional CUDA backend. SMOOTHCERT_CUDA=AUTO builds it where nvcc is found, ON insists, OFF
# does not look. cuDNN and cuBLAS are used where found; without them the project's own kernels do
# their work.
set(SMOOTHCERT_HAVE_CUDA OFF)
set(SMOOTHCERT_HAVE_CUDA_CONFIG FALSE)
set(SMOOTHCERT_NO_CUDA_REASON "SMOOTHCERT_CUDA=OFF")
if(NOT SMOOTHCERT_CUDA STREQUAL "OFF")
  # Never "native": it fails where no GPU is.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90a-real;90-virtual" CACHE STRING "GPU architectures")
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit QUIET)
    if(NOT CUDAToolkit_FOUND)
      set(SMOOTHCERT_NO_CUDA_REASON "nvcc was found, its toolkit's libraries were not")
    elseif(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4)
      set(SMOOTHCERT_NO_CUDA_REASON "CUDA ${CMAKE_CUDA_COMPILER_VERSION} is older than 12.4")
    else()
      set(SMOOTHCERT_HAVE_CUDA ON)
    endif()
  else()
    set(SMOOTHCERT_NO_CUDA_REASON "no CUDA compiler found (put nvcc in PATH or set CUDACXX)")
  endif()
  if(SMOOTHCERT_CUDA STREQUAL "ON" AND NOT SMOOTHCERT_HAVE_CUDA)
    message(FATAL_ERROR "SMOOTHCERT_CUDA=ON: ${SMOOTHCERT_NO_CUDA_REASON}")
  endif()
endif()

if(NOT SMOOTHCERT_HAVE_CUDA)
  target_sources(smoothcert PRIVATE ${SMOOTHCERT_CUDA_STUB_SOURCES})
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/kernel-objects.txt "")
  message(STATUS "smoothcert: CPU build (${SMOOTHCERT_NO_CUDA_REASON})")
  return()
endif()

set(SMOOTHCERT_HAVE_CUDA_CONFIG TRUE)
# CMake 3.25 does not know C++20 for nvcc 13 (CUDA_STANDARD 20 is an error or silently C++17).
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
endif()
# Exact mode forbids contraction: -fmad=false. No fast-math anywhere.
add_library(smoothcert_kernels OBJECT ${SMOOTHCERT_CUDA_KERNEL_SOURCES})
set_target_properties(smoothcert_kernels PROPERTIES CUDA_SEPARABLE_COMPILATION OFF
  CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON)
target_include_directories(smoothcert_kernels PRIVATE include src .)
if(CMAKE_CUDA_ARCHITECTURES MATCHES "90a")  # wgmma is of this architecture alone
  target_compile_definitions(smoothcert_kernels PRIVATE SMOOTHCERT_BUILT_FOR_90A)
endif()
target_compile_options(smoothcert_kernels PRIVATE
  -fmad=false -lineinfo --threads=2 -Xcompiler=-ffp-contract=off)
target_sources(smoothcert PRIVATE ${SMOOTHCERT_CUDA_HOST_SOURCES} ${SMOOTHCERT_CUDA_LAUNCHING_SOURCES}
  $<TARGET_OBJECTS:smoothcert_kernels>)
target_include_directories(smoothcert PRIVATE . ${CUDAToolkit_INCLUDE_DIRS})
# What tools/kernel-resources reads: empty in a CPU build.
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/kernel-objects.txt
  CONTENT "$<JOIN:$<TARGET_OBJECTS:smoothcert_kernels>,\n>\n")
target_link_libraries(smoothcert PRIVATE CUDA::cudart_static)

find_package(CUDNN 9 QUIET)
if(CUDNN_FOUND)
  target_compile_definitions(smoothcert PRIVATE SMOOTHCERT_HAVE_CUDNN)
  target_include_directories(smoothcert PRIVATE ${CUDNN_INCLUDE_DIR})
  target_link_libraries(smoothcert PRIVATE ${CUDNN_LIBRARY})
  set(_cudnn_text "cuDNN ${CUDNN_VERSION}")
else()
  set(_cudnn_text "no cuDNN (own convolution kernels)")
endif()
# cuBLAS of the toolkit, or as the pip wheel lays it out (only libcublas.so.N).
include(cmake/CudaWheels.cmake)
if(TARGET CUDA::cublas)
  set(_cublas CUDA::cublas)
else()
  find_path(CUBLAS_INCLUDE_DIR cublas_v2.h HINTS ${SMOOTHCERT_CUDA_WHEELS} PATH_SUFFIXES include)
  find_library(CUBLAS_LIBRARY NAMES cublas libcublas.so.13 libcublas.so.12
    HINTS ${SMOOTHCERT_CUDA_WHEELS} PATH_SUFFIXES lib)
  if(CUBLAS_INCLUDE_DIR AND CUBLAS_LIBRARY)
    set(_cublas ${CUBLAS_LIBRARY})
    target_include_directories(smoothcert PRIVATE ${CUBLAS_INCLUDE_DIR})
  endif()
endif()
if(_cublas)
  target_compile_definitions(smoothcert PRIVATE SMOOTHCERT_HAVE_CUBLAS)
  target_link_libraries(smoothcert PRIVATE ${_cublas})
  set(_cublas_text "cuBLAS")
else()
  set(_cublas_text "no cuBLAS (own kernels)")
endif()
message(STATUS "smoothcert: CUDA ${CMAKE_CUDA_COMPILER_VERSION}, ${_cudnn_text}, ${_cublas_text}, "
               "architectures ${CMAKE_CUDA_ARCHITECTURES}")
