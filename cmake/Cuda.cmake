# The optional CUDA backend.
file(GLOB SMOOTHCERT_CUDA_SOURCES CONFIGURE_DEPENDS cuda/*.cu cuda/*.cpp)
message(STATUS "smoothcert: CPU build (the CUDA backend has no sources yet)")
