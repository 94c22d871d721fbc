smoothcert_sources(SMOOTHCERT_NETWORK_SOURCES
  file.cpp
  inference_plan.cpp
  model_file_kind.cpp
  parameters.cpp
  safetensors.cpp
  spec.cpp
  spec_json.cpp)
