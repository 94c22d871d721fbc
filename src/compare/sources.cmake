smoothcert_sources(SMOOTHCERT_COMPARE_SOURCES
  compare.cpp
  models.cpp
  noisy_copies.cpp
  pictures.cpp
  plan.cpp)
