smoothcert_sources(SMOOTHCERT_EXTERNAL_SOURCES
  external_model.cpp
  external_run.cpp
  row_independence.cpp
  tile_placement.cpp)
