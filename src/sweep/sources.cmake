smoothcert_sources(SMOOTHCERT_SWEEP_SOURCES
  sweep.cpp
  sweep_file.cpp
  sweep_plan.cpp)
