# Benchmarks. Those that need Google Benchmark are built where it is installed.
find_package(benchmark QUIET)
file(GLOB SMOOTHCERT_BENCH_SOURCES CONFIGURE_DEPENDS bench/*_bench.cpp)

# Stand-alone: each prints JSON for the script bench/compare_<what it measures>.
foreach(name certification_bench training_bench)
  list(REMOVE_ITEM SMOOTHCERT_BENCH_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/bench/${name}.cpp)
  add_executable(${name} bench/${name}.cpp)
  target_include_directories(${name} PRIVATE src)
  target_link_libraries(${name} PRIVATE smoothcert smoothcert_options)
endforeach()

list(REMOVE_ITEM SMOOTHCERT_BENCH_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/bench/gpu_bench.cpp)
include(cmake/GpuBench.cmake)

# Stand-alone: chooses training recipes on a validation split.
add_executable(recipe_search bench/recipe_search.cpp)
target_link_libraries(recipe_search PRIVATE smoothcert smoothcert_options fmt::fmt)

if(benchmark_FOUND)
  foreach(source ${SMOOTHCERT_BENCH_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_include_directories(${name} PRIVATE src)
    target_link_libraries(${name} PRIVATE smoothcert smoothcert_options benchmark::benchmark fmt::fmt)
  endforeach()
endif()

# The fused kernels beside one another on a GPU.
if(SMOOTHCERT_HAVE_CUDA)
  add_executable(fused_gpu bench/fused_gpu.cpp)
  target_include_directories(fused_gpu PRIVATE src cuda ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(fused_gpu PRIVATE smoothcert smoothcert_options CUDA::cudart_static)
endif()
