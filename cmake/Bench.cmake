# Benchmarks. Each prints JSON for the script bench/compare_<what it measures>.
foreach(name certification_bench training_bench)
  add_executable(${name} bench/${name}.cpp)
  target_include_directories(${name} PRIVATE src)
  target_link_libraries(${name} PRIVATE smoothcert smoothcert_options)
endforeach()

# The kinds of layers that the tests know, each by itself.
add_executable(layer_bench bench/layer_bench.cpp tests/layer_cases.cpp)
target_include_directories(layer_bench PRIVATE src tests)
target_link_libraries(layer_bench PRIVATE smoothcert smoothcert_options)

include(cmake/GpuBench.cmake)

# Chooses training recipes on a validation split.
add_executable(recipe_search bench/recipe_search.cpp)
target_link_libraries(recipe_search PRIVATE smoothcert smoothcert_options fmt::fmt)

# The fused kernels beside one another on a GPU.
if(SMOOTHCERT_HAVE_CUDA)
  add_executable(fused_gpu bench/fused_gpu.cpp)
  target_include_directories(fused_gpu PRIVATE src . ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(fused_gpu PRIVATE smoothcert smoothcert_options CUDA::cudart_static)
endif()
