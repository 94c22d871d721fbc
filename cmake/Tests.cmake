# GoogleTest binaries: one for the library, one for kernels in the SIMT emulator.
find_package(GTest REQUIRED)
include(GoogleTest)
include(cmake/GpuTests.cmake)
set(_test_environment "")
if(SMOOTHCERT_SANITIZE)
  set(_test_environment ENVIRONMENT
    "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0")
endif()
add_executable(smoothcert_tests ${SMOOTHCERT_TEST_SOURCES})
target_include_directories(smoothcert_tests PRIVATE tests src)
# Paths reach one file only, so that a compiler cache serves the others in any checkout.
set_source_files_properties(tests/places_support.cpp PROPERTIES COMPILE_DEFINITIONS
  "SMOOTHCERT_SOURCE_DIR=\"${CMAKE_CURRENT_SOURCE_DIR}\";SMOOTHCERT_CLI=\"$<TARGET_FILE:smoothcert_cli>\"")
add_dependencies(smoothcert_tests smoothcert_cli)
target_link_libraries(smoothcert_tests PRIVATE smoothcert smoothcert_options GTest::gtest
  GTest::gmock GTest::gtest_main Boost::headers fmt::fmt nlohmann_json::nlohmann_json ZLIB::ZLIB
  SQLite::SQLite3 OpenSSL::Crypto Threads::Threads)
smoothcert_quick_tests(smoothcert_tests)
smoothcert_precompile(smoothcert_tests <gmock/gmock.h> <gtest/gtest.h> <nlohmann/json.hpp>
  <fmt/format.h> <filesystem> <fstream> <functional> <map> <optional> <string> <vector>)
# The baseline's lanes are returned in memory here, and Boost's numbers confuse GCC.
set_source_files_properties(tests/normal_test.cpp PROPERTIES COMPILE_OPTIONS -Wno-psabi)
set_source_files_properties(tests/disproof_test.cpp PROPERTIES
  COMPILE_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
# Radii are compared with ball arithmetic where Arb is: flint-arb, or flint from version 3 on.
find_path(SMOOTHCERT_ARB_INCLUDE_DIR arb_hypgeom.h PATH_SUFFIXES flint)
find_library(SMOOTHCERT_ARB_LIBRARY NAMES flint-arb flint)
find_library(SMOOTHCERT_FLINT_LIBRARY flint)
if(SMOOTHCERT_ARB_INCLUDE_DIR AND SMOOTHCERT_ARB_LIBRARY)
  set_source_files_properties(tests/enclosure_test.cpp PROPERTIES
    COMPILE_DEFINITIONS SMOOTHCERT_HAVE_ARB=1)
  # The system's own folder must not come first: its C++ headers look for the C ones behind them.
  if(NOT SMOOTHCERT_ARB_INCLUDE_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    set_source_files_properties(tests/enclosure_test.cpp PROPERTIES
      INCLUDE_DIRECTORIES ${SMOOTHCERT_ARB_INCLUDE_DIR})
  endif()
  target_link_libraries(smoothcert_tests PRIVATE ${SMOOTHCERT_ARB_LIBRARY}
    ${SMOOTHCERT_FLINT_LIBRARY})
else()
  message(STATUS "smoothcert: no Arb: radii are not compared with ball arithmetic")
endif()
gtest_discover_tests(smoothcert_tests DISCOVERY_TIMEOUT 60 PROPERTIES LABELS cpu TIMEOUT 600
  ${_test_environment})

# Kernels in the SIMT emulator. The tests, and with them the kernels, are compiled with
# ThreadSanitizer's instrumentation but not linked with its runtime: tests/simt/tsan_hooks.cpp takes
# its place and checks the emulated threads for races. Not together with AddressSanitizer.
add_library(smoothcert_simt_kernels OBJECT ${SMOOTHCERT_SIMT_TEST_SOURCES}
  ${SMOOTHCERT_SIMT_LAUNCH_SOURCES})
target_include_directories(smoothcert_simt_kernels PUBLIC tests tests/simt src .)
target_compile_definitions(smoothcert_simt_kernels PUBLIC
  SMOOTHCERT_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}" SMOOTHCERT_SIMT_EMULATOR)
target_link_libraries(smoothcert_simt_kernels PUBLIC smoothcert smoothcert_options GTest::gtest
  GTest::gmock fmt::fmt Threads::Threads)
if(NOT SMOOTHCERT_SANITIZE)
  target_compile_definitions(smoothcert_simt_kernels PUBLIC SMOOTHCERT_SIMT_RACECHECK)
  target_compile_options(smoothcert_simt_kernels PRIVATE -fsanitize=thread -g1)
endif()
add_executable(smoothcert_simt_tests tests/layer_cases.cpp ${SMOOTHCERT_SIMT_ENGINE_SOURCES}
  ${SMOOTHCERT_SIMT_SUPPORT_SOURCES})
target_link_libraries(smoothcert_simt_tests PRIVATE smoothcert_simt_kernels GTest::gtest_main)
gtest_discover_tests(smoothcert_simt_tests DISCOVERY_TIMEOUT 60 PROPERTIES LABELS simt TIMEOUT 600
  ${_test_environment})

include(cmake/SimulatedTests.cmake)
# Instructions per sample, counted by callgrind and compared with tests/golden/instructions.tsv.
if(NOT SMOOTHCERT_SANITIZE)
  add_executable(smoothcert_instruction_jobs ${SMOOTHCERT_INSTRUCTION_SOURCES})
  target_include_directories(smoothcert_instruction_jobs PRIVATE src)
  target_link_libraries(smoothcert_instruction_jobs PRIVATE smoothcert smoothcert_options)
  target_compile_definitions(smoothcert_instruction_jobs PRIVATE
    SMOOTHCERT_BUILD_TYPE="${CMAKE_BUILD_TYPE}")
  add_test(NAME instruction_counts COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/count-instructions
    --build ${CMAKE_CURRENT_BINARY_DIR})
  set_tests_properties(instruction_counts PROPERTIES LABELS "cpu" SKIP_RETURN_CODE 77 TIMEOUT 600)
endif()

# Facts about the fused kernels' machine code, compared with the committed ones; needs no GPU.
find_package(Python3 COMPONENTS Interpreter)
if(SMOOTHCERT_HAVE_CUDA AND Python3_FOUND)
  string(REPLACE ";" "," _architectures "${CMAKE_CUDA_ARCHITECTURES}")
  add_test(NAME KernelStatics.AsCommitted COMMAND_EXPAND_LISTS
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/tools/kernel-statics
            $<FILTER:$<TARGET_OBJECTS:smoothcert_kernels>,INCLUDE,/launch_fused[^/]*$>
            --nvcc ${CMAKE_CUDA_COMPILER_VERSION} --built ${_architectures}
            --check ${CMAKE_CURRENT_SOURCE_DIR}/tests/golden/fused_static.txt)
  add_test(NAME KernelResources.NothingSpills
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/tools/kernel-resources
            ${CMAKE_CURRENT_BINARY_DIR})
  set_tests_properties(KernelStatics.AsCommitted KernelResources.NothingSpills PROPERTIES
    LABELS simt SKIP_RETURN_CODE 77)
endif()
# Packs for a machine with a GPU, and what runs them there.
if(Python3_FOUND AND NOT SMOOTHCERT_SANITIZE)
  add_test(NAME gpu_pack COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_SOURCE_DIR}/tests/gpu_pack_test.py ${CMAKE_CURRENT_BINARY_DIR})
  set_tests_properties(gpu_pack PROPERTIES LABELS simulated TIMEOUT 600)
endif()

# Every source file is in the list of its folder.
add_test(NAME listed_sources
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_CURRENT_SOURCE_DIR}
          -DLISTED=${CMAKE_CURRENT_BINARY_DIR}/listed-sources.txt
          -P ${CMAKE_CURRENT_SOURCE_DIR}/tests/listed_sources.cmake)
set_tests_properties(listed_sources PROPERTIES LABELS cpu)
# Every public header compiles alone.
file(GLOB_RECURSE _headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/include
  ${CMAKE_CURRENT_SOURCE_DIR}/include/smoothcert/*.hpp)
list(LENGTH _headers _count)
if(_count LESS 40)
  message(FATAL_ERROR "only ${_count} public headers found")
endif()
set(_alone "")
foreach(header ${_headers} smoothcert/version.hpp)
  string(MAKE_C_IDENTIFIER ${header} _name)
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/headers/${_name}.cpp
    CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
  list(APPEND _alone ${CMAKE_CURRENT_BINARY_DIR}/headers/${_name}.cpp)
endforeach()
if(NOT SMOOTHCERT_SANITIZE)  # nothing runs
  add_library(smoothcert_headers OBJECT ${_alone})
  target_include_directories(smoothcert_headers PRIVATE include ${CMAKE_CURRENT_BINARY_DIR}/include)
  target_link_libraries(smoothcert_headers PRIVATE smoothcert_options)
endif()

# find_package(smoothcert) after an installation, and docs/example against it.
if(NOT SMOOTHCERT_SANITIZE)
  add_test(NAME install_example
    COMMAND ${CMAKE_COMMAND} -DBUILD=${CMAKE_CURRENT_BINARY_DIR} -DSOURCE=${CMAKE_CURRENT_SOURCE_DIR}
            -DWORK=${CMAKE_CURRENT_BINARY_DIR}/install-example -DCOMPILER=${CMAKE_CXX_COMPILER}
            -DLAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER} -DVERSION=${PROJECT_VERSION}
            -P ${CMAKE_CURRENT_SOURCE_DIR}/tests/install_example.cmake)
  set_tests_properties(install_example PROPERTIES LABELS slow TIMEOUT 900)
endif()
find_package(Python3 QUIET COMPONENTS Interpreter)
# The arrows between folders point as ARCHITECTURE.md says, and files are formatted.
if(Python3_FOUND)
  add_test(NAME include_arrows COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_SOURCE_DIR}/tools/check-includes)
  set_tests_properties(include_arrows PROPERTIES LABELS "cpu")
endif()
add_test(NAME formatted COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/check-format)
set_tests_properties(formatted PROPERTIES LABELS "cpu" SKIP_RETURN_CODE 77)
# tools/imagenet-to-npy against torchvision's own pipeline, where that is installed.
if(Python3_FOUND)
  add_test(NAME imagenet_to_npy COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_SOURCE_DIR}/tests/imagenet_to_npy_test.py)
  set_tests_properties(imagenet_to_npy PROPERTIES LABELS "cpu" SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()
# The README's figures are those of the newest results.
if(Python3_FOUND)
  add_test(NAME readme_figures COMMAND ${Python3_EXECUTABLE}
    ${CMAKE_CURRENT_SOURCE_DIR}/bench/fill_readme --check)
  set_tests_properties(readme_figures PROPERTIES LABELS "cpu")
endif()
