smoothcert_sources(SMOOTHCERT_NOISE_SOURCES
  largest_input.cpp
  lattice_table.cpp)
