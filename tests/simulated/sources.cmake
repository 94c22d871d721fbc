# Stand-ins for the CUDA runtime, cuDNN and cuBLAS.
smoothcert_sources(SMOOTHCERT_SIMULATED_MACHINE_SOURCES
  cublas.cpp
  cudnn.cpp
  launch_errors.cpp
  launch_hook.cpp
  machine.cpp
  memory.cpp
  runtime_api.cpp)
smoothcert_sources(SMOOTHCERT_SIMULATED_TEST_SOURCES
  places_support.cpp
  simulated_cli_test.cpp
  simulated_faults_test.cpp
  simulated_machine_test.cpp
  simulated_support.cpp
  simulated_training_test.cpp
  simulated_votes_test.cpp)
