smoothcert_sources(SMOOTHCERT_NOISE_SOURCES
  lattice_table.cpp
  noise_law.cpp)
