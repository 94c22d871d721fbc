smoothcert_sources(SMOOTHCERT_STUDY_SOURCES
  documents.cpp
  study.cpp
  study_json.cpp)
