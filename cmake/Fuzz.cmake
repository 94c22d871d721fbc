# Fuzz targets: tests/fuzz/<name>_fuzz.cpp becomes fuzz_<name>; tools/fuzz builds and runs them in a
# build folder of its own. With clang and its runtime they are libFuzzer binaries; otherwise a driver
# that replays and mutates the seeds takes libFuzzer's place. Only the parsers are instrumented.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS "-fsanitize=fuzzer,address,undefined")
check_cxx_source_compiles(
  "#include <cstdint>
   #include <cstddef>
   extern \"C\" int LLVMFuzzerTestOneInput(const std::uint8_t*, std::size_t) { return 0; }"
  SMOOTHCERT_LIBFUZZER)
unset(CMAKE_REQUIRED_FLAGS)

set(_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
set(_instrument ${_sanitizers})
set(_engine ${_sanitizers})
if(SMOOTHCERT_LIBFUZZER)
  list(APPEND _instrument -fsanitize=fuzzer-no-link)
  list(APPEND _engine -fsanitize=fuzzer)
endif()
set(_libraries smoothcert_options ZLIB::ZLIB OpenSSL::Crypto SQLite::SQLite3 Boost::headers fmt::fmt
  nlohmann_json::nlohmann_json CURL::libcurl Threads::Threads)

# Everything a parser may call; the linker takes what it needs.
set(_parsers ${SMOOTHCERT_UTIL_SOURCES} ${SMOOTHCERT_NETWORK_SOURCES}
  ${SMOOTHCERT_CHECKPOINT_SOURCES} ${SMOOTHCERT_DATA_SOURCES} ${SMOOTHCERT_NOISE_SOURCES}
  ${SMOOTHCERT_STORE_SOURCES} ${SMOOTHCERT_CERTIFY_SOURCES} src/sweep/sweep_file.cpp
  src/sweep/sweep_plan.cpp)
add_library(smoothcert_fuzzed STATIC EXCLUDE_FROM_ALL ${_parsers})
target_include_directories(smoothcert_fuzzed
  PUBLIC include src ${CMAKE_CURRENT_BINARY_DIR}/include tests tests/fuzz)
target_compile_options(smoothcert_fuzzed PRIVATE -O1 -g1 ${_instrument})
target_link_libraries(smoothcert_fuzzed PUBLIC ${_libraries})
smoothcert_use_onnx(smoothcert_fuzzed)

add_executable(fuzz_write_seeds EXCLUDE_FROM_ALL tests/fuzz/write_seeds.cpp
  tests/checkpoint_support.cpp tests/data_support.cpp tests/store_support.cpp tests/places_support.cpp)
target_compile_options(fuzz_write_seeds PRIVATE -O1 ${_sanitizers})
target_link_options(fuzz_write_seeds PRIVATE ${_sanitizers})
target_link_libraries(fuzz_write_seeds PRIVATE smoothcert_fuzzed)
set_property(SOURCE tests/places_support.cpp APPEND PROPERTY COMPILE_DEFINITIONS
  SMOOTHCERT_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}")

add_custom_target(fuzz_all DEPENDS fuzz_write_seeds)
foreach(_source ${SMOOTHCERT_FUZZ_SOURCES})
  get_filename_component(_name ${_source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" _name ${_name})
  if(_name STREQUAL "onnx" AND NOT SMOOTHCERT_HAVE_ONNX)
    continue()
  endif()
  add_executable(fuzz_${_name} EXCLUDE_FROM_ALL ${_source} tests/fuzz/memory_file.cpp
    tests/checkpoint_support.cpp
    $<$<NOT:$<BOOL:${SMOOTHCERT_LIBFUZZER}>>:${CMAKE_CURRENT_SOURCE_DIR}/tests/fuzz/replay_driver.cpp>)
  target_compile_options(fuzz_${_name} PRIVATE -O1 -g1 ${_instrument})
  target_link_options(fuzz_${_name} PRIVATE ${_engine})
  target_link_libraries(fuzz_${_name} PRIVATE smoothcert_fuzzed)
  add_dependencies(fuzz_all fuzz_${_name})
endforeach()
