smoothcert_sources(SMOOTHCERT_CHECKPOINT_SOURCES
  checkpoint.cpp
  fit.cpp
  known_models.cpp
  pickle.cpp
  pickle_globals.cpp
  torch_file.cpp)
