# Benchmarks. Those that need Google Benchmark are built where it is installed.
find_package(benchmark QUIET)
file(GLOB SMOOTHCERT_BENCH_SOURCES CONFIGURE_DEPENDS bench/*_bench.cpp)

# Stand-alone: prints JSON for bench/compare_certification.
list(REMOVE_ITEM SMOOTHCERT_BENCH_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/bench/certification_bench.cpp)
add_executable(certification_bench bench/certification_bench.cpp)
target_include_directories(certification_bench PRIVATE src)
target_link_libraries(certification_bench PRIVATE smoothcert smoothcert_options)

if(benchmark_FOUND)
  foreach(source ${SMOOTHCERT_BENCH_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_include_directories(${name} PRIVATE src)
    target_link_libraries(${name} PRIVATE smoothcert smoothcert_options benchmark::benchmark fmt::fmt)
  endforeach()
endif()
