# Stand-alone: prints JSON for tools/gpu-check. Runs on the CPU, too (--device cpu).
add_executable(gpu_bench bench/gpu_bench.cpp)
target_link_libraries(gpu_bench PRIVATE smoothcert smoothcert_options)
