smoothcert_sources(SMOOTHCERT_CHECKPOINT_SOURCES
  checkpoint.cpp
  fit.cpp
  pickle.cpp
  pickle_globals.cpp
  torch_file.cpp)
