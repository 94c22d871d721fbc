smoothcert_sources(SMOOTHCERT_ANALYSIS_SOURCES
  analysis.cpp
  analysis_json.cpp
  brackets.cpp
  more_certificates.cpp
  paired.cpp)
