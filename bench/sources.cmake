# One program each.
smoothcert_sources(SMOOTHCERT_BENCH_SOURCES
  certification_bench.cpp
  fused_gpu.cpp
  gpu_bench.cpp
  layer_bench.cpp
  recipe_search.cpp
  training_bench.cpp)
