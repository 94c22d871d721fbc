# The library: src/ and the CPU backend.
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(SQLite3 REQUIRED)
find_package(CURL REQUIRED)
find_package(PNG REQUIRED)
find_package(Boost REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)

configure_file(include/smoothcert/version.hpp.in
               ${CMAKE_CURRENT_BINARY_DIR}/include/smoothcert/version.hpp @ONLY)

# Everything but the CUDA backend, as objects: the library adds cuda/ or its stub, and the programs on
# simulated GPUs their own build of cuda/.
add_library(smoothcert_core OBJECT
  ${SMOOTHCERT_UTIL_SOURCES} ${SMOOTHCERT_NETWORK_SOURCES} ${SMOOTHCERT_CHECKPOINT_SOURCES}
  ${SMOOTHCERT_DATA_SOURCES} ${SMOOTHCERT_NOISE_SOURCES} ${SMOOTHCERT_ATTACK_SOURCES}
  ${SMOOTHCERT_TRAIN_SOURCES} ${SMOOTHCERT_CERTIFY_SOURCES} ${SMOOTHCERT_STORE_SOURCES}
  ${SMOOTHCERT_ANALYSIS_SOURCES} ${SMOOTHCERT_SWEEP_SOURCES} ${SMOOTHCERT_STUDY_SOURCES} ${SMOOTHCERT_COMPARE_SOURCES}
  ${SMOOTHCERT_REPORT_SOURCES} ${SMOOTHCERT_BACKEND_SOURCES} ${SMOOTHCERT_CPU_SOURCES}
  ${SMOOTHCERT_BASELINE_SOURCES} ${SMOOTHCERT_AVX2_SOURCES} ${SMOOTHCERT_AVX512_SOURCES}
  ${SMOOTHCERT_EXTERNAL_SOURCES} ${SMOOTHCERT_GPU_SOURCES})
add_library(smoothcert STATIC $<TARGET_OBJECTS:smoothcert_core>)
add_library(smoothcert::smoothcert ALIAS smoothcert)
foreach(target smoothcert_core smoothcert)
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
           $<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}/include>
           $<INSTALL_INTERFACE:include>
    PRIVATE src)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target}
    PUBLIC Threads::Threads
    PRIVATE $<BUILD_INTERFACE:smoothcert_options> ZLIB::ZLIB OpenSSL::Crypto SQLite::SQLite3
            CURL::libcurl PNG::PNG Boost::headers fmt::fmt spdlog::spdlog
            nlohmann_json::nlohmann_json)
endforeach()

smoothcert_precompile(smoothcert_core <algorithm> <filesystem> <functional> <map> <memory> <optional>
  <span> <string> <vector> <fmt/format.h> <nlohmann/json.hpp>)

# The lane kernels are one source compiled once per instruction set and chosen at run time. Sanitizers
# make them long to compile, and everything small in them is always inlined.
set(_lane_level -O3)
if(SMOOTHCERT_SANITIZE)
  set(_lane_level -O1)
endif()
set_source_files_properties(${SMOOTHCERT_AVX2_SOURCES} PROPERTIES
  COMPILE_OPTIONS "${_lane_level};-mavx2;-mfma;-mbmi2;-DSMOOTHCERT_ISA=avx2")
set_source_files_properties(${SMOOTHCERT_AVX512_SOURCES} PROPERTIES
  COMPILE_OPTIONS "${_lane_level};-mavx2;-mfma;-mbmi2;-mavx512f;-mavx512dq;-mavx512bw;-mavx512vl;-mprefer-vector-width=512;-DSMOOTHCERT_ISA=avx512")
set_source_files_properties(${SMOOTHCERT_BASELINE_SOURCES} PROPERTIES
  COMPILE_OPTIONS "${_lane_level};-Wno-psabi;-DSMOOTHCERT_ISA=baseline")
# GCC 12's own AVX-512 headers trip -Wuninitialized.
set_property(SOURCE ${SMOOTHCERT_AVX512_SOURCES} APPEND PROPERTY COMPILE_OPTIONS "-Wno-uninitialized")
set_property(SOURCE ${SMOOTHCERT_AVX2_SOURCES} ${SMOOTHCERT_AVX512_SOURCES}
  ${SMOOTHCERT_BASELINE_SOURCES} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
