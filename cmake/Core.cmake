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

file(GLOB SMOOTHCERT_CORE_SOURCES CONFIGURE_DEPENDS src/*.cpp src/*/*.cpp)
add_library(smoothcert STATIC ${SMOOTHCERT_CORE_SOURCES})
add_library(smoothcert::smoothcert ALIAS smoothcert)
target_include_directories(smoothcert
  PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
         $<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}/include>
         $<INSTALL_INTERFACE:include>
  PRIVATE src)
target_compile_features(smoothcert PUBLIC cxx_std_20)
target_link_libraries(smoothcert
  PUBLIC Threads::Threads
  PRIVATE $<BUILD_INTERFACE:smoothcert_options> ZLIB::ZLIB OpenSSL::Crypto SQLite::SQLite3
          CURL::libcurl PNG::PNG Boost::headers fmt::fmt spdlog::spdlog
          nlohmann_json::nlohmann_json)

# The lane kernels are one source compiled once per instruction set and chosen at run time.
include(CheckCXXCompilerFlag)
file(GLOB SMOOTHCERT_AVX2_SOURCES CONFIGURE_DEPENDS src/cpu/*_avx2.cpp)
file(GLOB SMOOTHCERT_AVX512_SOURCES CONFIGURE_DEPENDS src/cpu/*_avx512.cpp)
set_source_files_properties(${SMOOTHCERT_AVX2_SOURCES} PROPERTIES
  COMPILE_OPTIONS "-O3;-mavx2;-mfma;-mbmi2;-DSMOOTHCERT_ISA=avx2")
set_source_files_properties(${SMOOTHCERT_AVX512_SOURCES} PROPERTIES
  COMPILE_OPTIONS "-O3;-mavx2;-mfma;-mbmi2;-mavx512f;-mavx512dq;-mavx512bw;-mavx512vl;-mprefer-vector-width=512;-DSMOOTHCERT_ISA=avx512")
file(GLOB SMOOTHCERT_BASELINE_SOURCES CONFIGURE_DEPENDS src/cpu/*_baseline.cpp)
set_source_files_properties(${SMOOTHCERT_BASELINE_SOURCES} PROPERTIES
  COMPILE_OPTIONS "-O3;-Wno-psabi;-DSMOOTHCERT_ISA=baseline")
# GCC 12's own AVX-512 headers trip -Wuninitialized.
set_property(SOURCE ${SMOOTHCERT_AVX512_SOURCES} APPEND PROPERTY COMPILE_OPTIONS "-Wno-uninitialized")
