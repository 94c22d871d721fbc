smoothcert_sources(SMOOTHCERT_INSTRUCTION_SOURCES
  jobs.cpp)
