smoothcert_sources(SMOOTHCERT_UTIL_SOURCES
  atomic_file.cpp
  decimal.cpp
  format_number.cpp
  model_name.cpp
  names.cpp
  nearest_name.cpp
  sha256.cpp)
