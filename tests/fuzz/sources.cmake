# <name>_fuzz.cpp becomes the program fuzz_<name>.
smoothcert_sources(SMOOTHCERT_FUZZ_SOURCES
  checkpoint_fuzz.cpp
  cifar_fuzz.cpp
  idx_fuzz.cpp
  network_spec_fuzz.cpp
  npy_fuzz.cpp
  onnx_fuzz.cpp
  safetensors_fuzz.cpp
  store_fuzz.cpp
  sweep_fuzz.cpp
  tsv_fuzz.cpp
  votes_fuzz.cpp)
smoothcert_sources(SMOOTHCERT_FUZZ_SUPPORT_SOURCES
  memory_file.cpp
  replay_driver.cpp
  write_seeds.cpp)
